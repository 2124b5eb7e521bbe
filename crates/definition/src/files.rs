//! The files of a project in memory, and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// What one file may have at most. The largest mapping that we have seen has 40 KB.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// What one project may have at most.
pub const FILES_MAX: usize = 5_000;

/// Which file of [`Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A piece of a file. *Units*: bytes, the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The place of what stands in no file: a default of a field table.
    pub const DEFAULT: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

    pub fn is_default(&self) -> bool {
        self.file == Span::DEFAULT.file
    }

    /// An empty piece at its start.
    pub fn head(self) -> Span {
        Span { end: self.start, ..self }
    }

    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// One file that was read. *Shape*: `path` is relative to the project's folder, with `/` on every platform.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub path: Arc<str>,
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

impl File {
    fn new(path: &str, text: String) -> File {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1);
        let line_starts = std::iter::once(0).chain(starts).collect();
        File { path: path.into(), text: text.into(), line_starts }
    }
}

/// Every file of a project that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Files(Vec<File>);

impl Files {
    pub fn add(&mut self, path: &str, text: String) -> FileId {
        self.0.push(File::new(path, text));
        FileId(self.0.len() as u32 - 1)
    }

    pub fn get(&self, id: FileId) -> Option<&File> {
        self.0.get(id.0 as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = (FileId, &File)> {
        self.0.iter().enumerate().map(|(at, file)| (FileId(at as u32), file))
    }

    /// The text of a piece; nothing where it is no piece of a file.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|file| file.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Path, line and column of the start of a piece. *Units*: both count from 1, the column in characters.
    pub fn place(&self, span: Span) -> Option<Place> {
        let file = self.get(span.file)?;
        let line = file.line_starts.partition_point(|start| *start <= span.start).max(1);
        let start = file.line_starts[line - 1] as usize;
        let column = file.text.get(start..span.start as usize).map_or(1, |before| before.chars().count() + 1);
        Some(Place { file: file.path.clone(), line: line as u32, column: column as u32, span })
    }

    /// `systems/finance.yaml:14`.
    pub fn line_of(&self, span: Span) -> String {
        self.place(span).map_or_else(|| "default".to_owned(), |place| format!("{}:{}", place.file, place.line))
    }
}

/// Reads the files of a project's folder that hold definitions.
///
/// *Errors*: as diagnostics; what can be read is read. `complete` is false where something could not.
pub(crate) fn read(dir: &Path, diagnostics: &mut Vec<Diagnostic>) -> (Files, bool) {
    let mut files = Files::default();
    let found = diagnostics.len();
    if !dir.is_dir() {
        let what = if dir.exists() { "is not a folder" } else { "does not exist" };
        diagnostics.push(
            Diagnostic::error(codes::NO_PROJECT, format!("the project's folder `{}` {what}", dir.display())).help(
                format!(
                    "name the folder that holds ironbridge.yaml, or make one with `ironbridge init {}`",
                    dir.display()
                ),
            ),
        );
        return (files, false);
    }
    let hub = dir.join("ironbridge.yaml");
    if !hub.exists() {
        diagnostics.push(no_hub_file(dir));
    }
    let mut paths: Vec<(String, PathBuf)> =
        ["ironbridge.yaml", "people.yaml"].into_iter().map(|name| (name.to_owned(), dir.join(name))).collect();
    for folder in crate::documents::FOLDERS {
        paths.extend(list(dir, folder, "yaml", diagnostics));
    }
    paths.extend(list(dir, crate::documents::PAGES, "md", diagnostics));
    if paths.len() > FILES_MAX {
        diagnostics.push(
            Diagnostic::error(
                codes::TOO_LARGE,
                format!("the project has {} files, and {FILES_MAX} are the most", paths.len()),
            )
            .help("split it into several projects, one hub each"),
        );
        paths.truncate(FILES_MAX);
    }
    for (name, path) in paths {
        if !path.exists() {
            continue;
        }
        match read_one(&path) {
            Ok(text) => {
                files.add(&name, text);
            }
            Err(diagnostic) => diagnostics.push(diagnostic(&name)),
        }
    }
    let complete = diagnostics.len() == found;
    (files, complete)
}

fn no_hub_file(dir: &Path) -> Diagnostic {
    let empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    let title = if empty {
        format!("the folder `{}` is empty", dir.display())
    } else {
        format!("the folder `{}` has no ironbridge.yaml", dir.display())
    };
    Diagnostic::error(codes::NO_PROJECT, title)
        .help(format!("make a project with `ironbridge init {}`, or name the folder of one by `-C DIR`", dir.display()))
}

/// The files of one sub-folder with this ending, in the order of their names; of definitions also `.yml`, which is reported.
fn list(dir: &Path, folder: &str, ending: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, PathBuf)> {
    let path = dir.join(folder);
    if !path.exists() {
        return Vec::new();
    }
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(why) => {
            diagnostics.push(
                Diagnostic::error(codes::UNREADABLE, format!("the folder `{folder}` cannot be read"))
                    .note(why.to_string())
                    .help("let the user that runs ironbridge read it"),
            );
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for entry in entries.flatten().take(FILES_MAX + 1) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        match Path::new(&name).extension().and_then(|e| e.to_str()) {
            Some(found_ending) if found_ending == ending => found.push((format!("{folder}/{name}"), entry.path())),
            Some("yml") if ending == "yaml" => diagnostics.push(
                Diagnostic::error(
                    codes::STRAY_FILE,
                    format!("`{folder}/{name}` is not read: definitions end in .yaml"),
                )
                .help(format!("rename it to `{folder}/{}aml`", name.trim_end_matches("ml"))),
            ),
            _ => {}
        }
    }
    found.sort();
    found
}

type Failure = Box<dyn FnOnce(&str) -> Diagnostic>;

fn read_one(path: &Path) -> Result<String, Failure> {
    let unreadable = |why: std::io::Error| -> Failure {
        Box::new(move |name: &str| {
            Diagnostic::error(codes::UNREADABLE, format!("`{name}` cannot be read"))
                .note(why.to_string())
                .help("let the user that runs ironbridge read this file")
        })
    };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(Box::new(|name: &str| {
            Diagnostic::error(codes::UNREADABLE, format!("`{name}` is not a file"))
                .help("put a YAML file there, or rename the folder")
        }));
    }
    // Asked of the open file as well: it may grow, and some files have no length.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, FILE_BYTES_MAX + 1), &mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Box::new(|name: &str| {
            Diagnostic::error(codes::TOO_LARGE, format!("`{name}` is larger than {} KB", FILE_BYTES_MAX / 1024))
                .note("a definition is read whole before anything runs, so its size has a limit")
                .help("split it: several files may stand in one folder")
        }));
    }
    String::from_utf8(bytes).map_err(|error| -> Failure {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let wide = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
        Box::new(move |name: &str| {
            let is = if wide { "is UTF-16" } else { "is not UTF-8" };
            Diagnostic::error(codes::NOT_UTF8, format!("`{name}` {is}"))
                .note(format!("the first byte that is not UTF-8 is on line {line}"))
                .help("save the file as UTF-8 in your editor")
        })
    })
}

impl Files {
    /// Blots out a piece of a file with stars, so that no message can show it. *Shape*: its length stays.
    pub(crate) fn hide(&mut self, span: Span) {
        let Some(file) = self.0.get_mut(span.file.0 as usize) else { return };
        let (start, end) = (span.start as usize, span.end as usize);
        let Some(piece) = file.text.get(start..end) else { return };
        let stars: String = piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
        file.text = format!("{}{stars}{}", &file.text[..start], &file.text[end..]).into();
    }
}
