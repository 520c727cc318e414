//! One connection to one registry: a configured oci-distribution client, and its errors in the words of this crate.

use std::time::Duration;

use oci_distribution::client::{Client, ClientConfig, ClientProtocol};
use oci_distribution::errors::{OciDistributionError, OciErrorCode};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Reference as Address, RegistryOperation};

use super::{Credential, Registry, is_loopback};
use crate::{Digest, Error, Reference, Result};

/// After this long without a byte, a transfer counts as cut.
const SILENCE: Duration = Duration::from_secs(30);

const CONNECT: Duration = Duration::from_secs(10);

/// A registry, ready to be asked about one repository.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) auth: RegistryAuth,
    pub(super) address: Address,
    registry: String,
    name: Reference,
}

impl Session {
    /// Connects and, where the registry asks for it, logs in.
    pub(super) async fn open(registry: &Registry, name: &Reference, operation: RegistryOperation) -> Result<Self> {
        let host = name.registry().to_owned();
        let plain = registry.insecure || is_loopback(&host);
        let auth = match registry.credential_of(&host) {
            None => RegistryAuth::Anonymous,
            Some(Credential::Basic { user, password }) => RegistryAuth::Basic(user.clone(), password.clone()),
            Some(Credential::Bearer(token)) => RegistryAuth::Bearer(token.clone()),
        };
        let session =
            Self { client: client(plain, &host)?, auth, address: address(name), registry: host, name: name.clone() };
        let login = session.client.auth(&session.address, &session.auth, operation).await;
        login.map_err(|error| session.error("logging in", error))?;
        Ok(session)
    }

    /// The same repository, by digest.
    pub(super) fn at(&self, digest: Digest) -> Address {
        self.address.clone_with_digest(digest.to_string())
    }

    /// Says in this crate's words what went wrong.
    pub(super) fn error(&self, doing: &str, error: OciDistributionError) -> Error {
        use OciDistributionError as E;
        let registry = self.registry.clone();
        let unknown = || Error::UnknownImage { name: self.name.to_string() };
        let denied = |reason: &str| Error::Denied {
            registry: self.registry.clone(),
            subject: self.name.familiar_name(),
            reason: reason.to_owned(),
        };
        let failed =
            |reason: String| Error::Registry { registry: self.registry.clone(), doing: doing.to_owned(), reason };
        match error {
            E::UnauthorizedError { .. } => denied("credentials are missing or wrong"),
            E::AuthenticationFailure(_) => denied("its token service refused the credentials"),
            E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => unknown(),
            E::ServerError { code: code @ (401 | 403), .. } => denied(&format!("it answered {code}")),
            E::ServerError { code, message, .. } => failed(format!("it answered {code} {}", first_line(&message))),
            E::RegistryError { envelope, .. } => match envelope.errors.first() {
                Some(first) => match first.code {
                    OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => unknown(),
                    OciErrorCode::Unauthorized | OciErrorCode::Denied => denied(first_line(&first.message)),
                    _ => failed(first_line(&first.message).to_owned()),
                },
                None => failed("it gave no reason".to_owned()),
            },
            E::DigestError(oci_distribution::errors::DigestError::VerificationError { expected, actual }) => {
                match (Digest::parse(&expected), Digest::parse(&actual)) {
                    (Ok(expected), Ok(found)) => Error::WrongDigest { subject: self.name.to_string(), expected, found },
                    _ => failed(format!(
                        "content has digest {}, expected {}",
                        first_line(&actual),
                        first_line(&expected)
                    )),
                }
            }
            E::RequestError(error) if error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403)) => {
                denied("credentials are missing or wrong")
            }
            E::RequestError(error) => {
                Error::Unreachable { registry, doing: doing.to_owned(), source: deepest(&error).into() }
            }
            other => failed(first_line(&other.to_string()).to_owned()),
        }
    }
}

/// Whether asking again may help.
pub(super) fn is_transient(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(_) | OciDistributionError::IoError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| error.code == OciErrorCode::Toomanyrequests)
        }
        _ => false,
    }
}

/// The innermost cause, which is the one that says something.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    first_line(&cause.to_string()).to_owned()
}

/// A registry's words, kept to one line of a terminal.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices().nth(300).map_or(line, |(end, _)| &line[..end])
}

fn address(name: &Reference) -> Address {
    let (registry, repository) = (name.registry().to_owned(), name.repository().to_owned());
    match (name.digest(), name.tag()) {
        (Some(digest), _) => Address::with_digest(registry, repository, digest.to_string()),
        (None, tag) => Address::with_tag(registry, repository, tag.unwrap_or("latest").to_owned()),
    }
}

fn client(plain: bool, host: &str) -> Result<Client> {
    // Whoever else in this process chose a provider first is fine with us.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A proxy of the environment is not asked for what is on this machine.
    let bypass = plain && is_loopback(host);
    let config = ClientConfig {
        protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("image-store/", env!("CARGO_PKG_VERSION")),
        http_proxy: bypass.then(|| "http://127.0.0.1:1".to_owned()),
        no_proxy: bypass.then(|| "localhost,127.0.0.0/8,::1".to_owned()),
        ..ClientConfig::default()
    };
    let unsupported = |hint: String| Error::Unsupported { feature: "speaking to registries".to_owned(), hint };
    let no_authorities =
        || unsupported("this machine has no certificate authorities (install ca-certificates)".to_owned());
    // Without them the client's other half panics where this one fails, so both are told as the same.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Client::try_from(config))) {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) if !deepest(&error).contains("No CA certificates") => Err(unsupported(deepest(&error))),
        Ok(Err(_)) | Err(_) => Err(no_authorities()),
    }
}
