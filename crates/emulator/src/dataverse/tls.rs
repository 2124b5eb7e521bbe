//! HTTPS with an authority of our own, for clients that speak nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::Error;

/// What listens with TLS, and where the authority's certificate is for clients to trust.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    pub ca_path: PathBuf,
}

/// Makes an authority and a certificate for `localhost` and the loopback addresses.
///
/// The authority stays the same as long as its folder does, so that a client has to be told only once. Its key is of
/// use to nobody but this emulator.
pub fn prepare(dir: Option<&Path>) -> Result<Tls, Error> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => std::env::temp_dir().join(format!("dataverse-emulator-{}", std::process::id())),
    };
    std::fs::create_dir_all(&dir).map_err(|source| Error::Folder { dir: dir.clone(), source })?;
    let (ca_path, key_path) = (dir.join("ca.pem"), dir.join("ca.key"));
    let known = std::fs::read_to_string(&key_path).ok().filter(|_| ca_path.exists());
    let ca_key = match &known {
        Some(pem) => KeyPair::from_pem(pem)?,
        None => KeyPair::generate()?,
    };
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "Local Dataverse emulator (do not trust elsewhere)");
    if known.is_none() {
        let write = |path: &Path, text: String| {
            std::fs::write(path, text).map_err(|source| Error::Folder { dir: path.into(), source })
        };
        write(&ca_path, ca.self_signed(&ca_key)?.pem())?;
        write(&key_path, ca_key.serialize_pem())?;
        only_for_its_owner(&key_path);
    }
    let issuer = Issuer::new(ca, ca_key);
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let certificate: CertificateDer<'static> = leaf.signed_by(&leaf_key, &issuer)?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(server)), ca_path })
}

/// Whoever holds the key can pose as any site to a client that trusts the authority.
fn only_for_its_owner(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
            tracing::warn!(%error, "the key of the emulator's authority could not be protected");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}
