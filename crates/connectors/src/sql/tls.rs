//! Which certificates a database's server may show.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certificates of `ca`, or those that this machine trusts.
///
/// *Errors*: one sentence.
pub(crate) async fn trusted(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let ca = ca.map(Path::to_owned);
    let read = move || match ca {
        Some(file) => {
            let shown = file.display();
            let all = CertificateDer::pem_file_iter(&file).map_err(|why| format!("{shown} cannot be read: {why}"))?;
            let all = all.collect::<Result<Vec<_>, _>>().map_err(|why| format!("{shown} cannot be read: {why}"))?;
            if all.is_empty() { Err(format!("{shown} holds no certificate in PEM form")) } else { Ok(all) }
        }
        None => match rustls_native_certs::load_native_certs().certs {
            all if all.is_empty() => Err("this machine trusts no certificates at all".to_owned()),
            all => Ok(all),
        },
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// What a client verifies a server with.
///
/// *Errors*: one sentence.
pub(crate) async fn config(ca: &Path) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in trusted(Some(ca)).await? {
        roots.add(certificate).map_err(|why| format!("{} cannot be trusted: {why}", ca.display()))?;
    }
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
