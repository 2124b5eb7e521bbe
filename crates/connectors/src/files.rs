//! Files that somebody sends: CSV, Excel, JSON and JSON lines, in a folder here, on an SFTP server, in S3 or in Azure.
//!
//! All four are also written.
//!
//! *Limits*: a file from elsewhere is first laid down on this machine, without a name; one of this machine is read where it
//! is. A row, not a file, has to fit into memory; of an Excel workbook also its texts.

mod choose;
mod cursor;
mod fault;
mod format;
mod pager;
mod passing;
mod place;
mod settings;
mod sink;
mod source;
mod value;

use std::sync::Arc;

use record::{
    BoxFuture, Catalog, Fault, Field, FieldType, Health, Keeps, Kind, Options, ReadSpec, Sink, Source, System,
    TableUse, WriteSpec,
};

pub use format::excel_sample;
use place::Place;
use tokio::sync::Mutex;

/// `kind: files`.
pub static KIND: Kind = Kind {
    name: "files",
    doc: "A folder of files: here, on an SFTP server, or in a bucket of S3 or Azure.",
    connection: &[
        Field::new("folder", FieldType::Path, "A folder of this machine.", "data/in"),
        Field::new(
            "url",
            FieldType::Url,
            "A folder elsewhere: `sftp://HOST:PORT/FOLDER`, `s3://BUCKET/FOLDER`, `azure://ACCOUNT/CONTAINER/FOLDER`.",
            "\"sftp://files.supplier.example/out\"",
        ),
        Field::new("user", FieldType::Text, "The user on an SFTP server.", "hub"),
        Field::new(
            "key",
            FieldType::Secret,
            "The private key for an SFTP server (Ed25519 or ECDSA).",
            "\"${file:sftp_key}\"",
        ),
        Field::new(
            "password",
            FieldType::Secret,
            "The password for an SFTP server, or the passphrase of `key:`.",
            "\"${env:SFTP_PASSWORD}\"",
        ),
        Field::new(
            "host_key",
            FieldType::Text,
            "The host key that an SFTP server must show: its fingerprint, or the key itself.",
            "\"SHA256:Xk1…\"",
        ),
        Field::new(
            "known_hosts",
            FieldType::Path,
            "A file of host keys, where `host_key:` names none; without both, the one of the user that runs the hub.",
            "known_hosts",
        ),
        Field::new("access_key", FieldType::Secret, "The id of the key for S3.", "\"${env:S3_KEY}\""),
        Field::new(
            "secret_key",
            FieldType::Secret,
            "The secret key for S3, or the key of an account in Azure.",
            "\"${env:S3_SECRET}\"",
        ),
        Field::new("sas", FieldType::Secret, "A SAS token for Azure, instead of a key.", "\"${env:AZURE_SAS}\""),
        Field::new("region", FieldType::Text, "The region of an S3 bucket.", "eu-west-2").default("us-east-1"),
        Field::new(
            "service",
            FieldType::Url,
            "The address of a service that speaks like S3 or Azure, where it is not theirs.",
            "https://minio.contoso.example",
        ),
        Field::new("timeout", FieldType::Duration, "How long one answer may take.", "30 seconds")
            .default("30 seconds"),
    ],
    entity: &[
        Field::new("file", FieldType::Text, "The names of the files: `*` is anything, `?` one character. Written are one file with every row, or with one `*` a new file each time.", "\"prices_*.csv\"")
            .required(),
        Field::new("format", FieldType::Group(FORMAT), "How the files are written.", "{ delimiter: \";\" }")
            .default("{}"),
        Field::new("sheet", FieldType::Text, "The sheet of an Excel workbook; the first one where it is not said.", "Prices"),
        Field::new("rows", FieldType::Text, "The JSON path of the list of rows, where it is not the document itself.", "data.items"),
        Field::new(
            "ready_when",
            FieldType::Text,
            "When a file is whole: `unchanged for` a time, or `exists` another file, in whose name `*` stands for what it stands for in `file:`.",
            "unchanged for 2 minutes",
        )
        .default("unchanged for 2 minutes"),
        Field::new(
            "contains",
            FieldType::OneOf(&["everything", "changes"]),
            "Whether a file has every row, or only what changed.",
            "everything",
        )
        .default("changes"),
        Field::new(
            "several",
            FieldType::OneOf(&["newest", "each in order"]),
            "What happens when several files wait.",
            "newest",
        )
        .default("each in order"),
        Field::new(
            "afterwards",
            FieldType::Text,
            "What happens to a file once its rows are settled: `keep`, `move to` a folder beside the files, or `delete`.",
            "move to done/",
        )
        .default("keep"),
        Field::new(
            "alternate_key",
            FieldType::OneOrMany(&FieldType::Column),
            "The column, or columns, that name a row.",
            "Artikel",
        ),
        Field::new(
            "dst",
            FieldType::OneOf(&["reject", "earlier", "later"]),
            "What to do with a local time that a clock change skips or repeats: set the row aside, or take the earlier or the later reading.",
            "later",
        )
        .default("reject"),
    ],
    reads: true,
    writes: true,
    has_catalog: false,
    line_tables: false,
    // Nothing between two delimiters is a blank, whatever was sent.
    keeps: Keeps { empty_as_blank: true, ..Keeps::EXACTLY },
};

const FORMAT: &[Field] = &[
    Field::new(
        "type",
        FieldType::OneOf(&["csv", "excel", "json", "json lines"]),
        "What the files are, where the ending of their names does not say it (.xlsx, .json, .jsonl; all others are CSV).",
        "csv",
    ),
    Field::new("delimiter", FieldType::Text, "The character between columns, or `tab`.", "\";\"").default("\",\""),
    Field::new("quote", FieldType::Text, "The character around values, or `none`.", "\"'\"").default("'\"'"),
    Field::new(
        "encoding",
        FieldType::OneOf(&["utf-8", "windows-1252", "iso-8859-1", "utf-16"]),
        "How characters are written; a mark at the start of a file (BOM) says more.",
        "windows-1252",
    )
    .default("utf-8"),
    Field::new("decimal", FieldType::OneOf(&[".", ","]), "The decimal sign.", "\",\"").default("\".\""),
    Field::new(
        "thousands",
        FieldType::OneOf(&["none", ".", ",", "'", "space"]),
        "The sign between thousands.",
        "\".\"",
    )
    .default("none"),
    Field::new(
        "date",
        FieldType::OneOf(&["yyyy-mm-dd", "dd/mm/yyyy", "mm/dd/yyyy", "dd.mm.yyyy", "dd-mm-yyyy", "yyyymmdd"]),
        "How days are written, also the day of a time.",
        "dd/mm/yyyy",
    )
    .default("yyyy-mm-dd"),
    Field::new(
        "header",
        FieldType::YesNo,
        "The first line holds the names of the columns; without it, `columns:` names them in their order.",
        "true",
    )
    .default("true"),
    Field::new(
        "skip_lines",
        FieldType::WholeNumber { min: 0, max: 1_000 },
        "Lines before the header that are left out.",
        "3",
    )
    .default("0"),
];

/// Opens a system of files; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    Ok(Arc::new(Folder { system: name.to_owned(), place: place::of(name, &options)?, turn: Arc::default() }))
}

/// One place with files.
struct Folder {
    system: String,
    place: Arc<dyn Place>,
    /// Held by whoever writes there.
    turn: Arc<Mutex<()>>,
}

impl System for Folder {
    /// Lists the folder, and reads the smallest file of it.
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move {
            let folder = self.place.open().await?;
            let mut health = folder.health().await?;
            let files = folder.list("").await?;
            let smallest = files.iter().min_by_key(|entry| entry.size);
            if let Some(entry) = smallest.filter(|entry| entry.size <= 1 << 20)
                && let Err(fault) = folder.fetch(entry).await
                && !fault.is_transient()
            {
                health.missing.push(format!("{} is listed, and cannot be read: {fault}", entry.name));
            }
            let (many, files) = (files.len(), if files.len() == 1 { "file" } else { "files" });
            health.version = format!("{}, {many} {files} in it", health.version);
            Ok(health)
        })
    }

    fn catalog<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(std::future::ready(Ok(Catalog::default())))
    }

    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        let refused = uses.iter().any(|of| of.writes) && self.place.takes_files() == Some(false);
        let shown = self.place.shown();
        let says = || {
            format!(
                "no file can be put into {shown}; as its owner: chmod g+w {shown}, with the user that runs the hub in its group"
            )
        };
        Box::pin(std::future::ready(Ok(refused.then(says).into_iter().collect())))
    }

    fn untold(&self, uses: &[TableUse]) -> Vec<String> {
        let unknown = uses.iter().any(|of| of.writes) && self.place.takes_files().is_none();
        let shown = self.place.shown();
        let says = || {
            format!(
                "whether files can be put into {shown}: only putting one tells; its user needs the right to create, rename and replace files there"
            )
        };
        unknown.then(says).into_iter().collect()
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Files::new(&self.system, self.place.clone(), spec)?))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Files::new(&self.system, self.place.clone(), self.turn.clone(), spec)?))
    }
}
