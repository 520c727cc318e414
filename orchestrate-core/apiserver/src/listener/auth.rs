//! Who may come in: a random token, compared in constant time, and the file that tells kubectl.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::base64;
use crate::error::Error;

/// A credential. Its text is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// 256 bits from the kernel, as hexadecimal.
    ///
    /// # Errors
    /// The kernel's source of randomness cannot be read.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0_u8; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// A token from text that the caller keeps secret.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The token's text, for a file that only its owner reads.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether an `Authorization` header carries this token: as `Bearer`, or as the password of
    /// `Basic`, which is all that kubectl sends over plain HTTP.
    pub(super) fn admits(&self, header: &str) -> bool {
        let (scheme, value) = header.split_once(' ').unwrap_or(("", header));
        if scheme.eq_ignore_ascii_case("bearer") {
            return same(value.trim().as_bytes(), self.0.as_bytes());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let decoded = base64::decode(value.trim()).unwrap_or_default();
        let password = decoded.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default();
        same(password, self.0.as_bytes())
    }
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    let length = a.len() ^ b.len();
    let difference = b.iter().enumerate().fold(0_u8, |sum, (at, byte)| {
        let other = a.get(at).copied().unwrap_or(0);
        std::hint::black_box(sum | (byte ^ other))
    });
    length == 0 && difference == 0
}

/// How kubectl is to reach a server.
#[derive(Debug, Clone)]
pub struct Kubeconfig<'a> {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// What it wants to see.
    pub token: &'a Token,
    /// The certificate that it shows, in PEM; without one it speaks plain HTTP, over which kubectl
    /// sends the token as the password of the URL and can neither exec nor attach.
    pub certificate: Option<&'a str>,
}

impl Kubeconfig<'_> {
    fn text(&self) -> String {
        let (address, token) = (self.address, self.token.reveal());
        let cluster = match self.certificate {
            None => format!("server: http://mini:{token}@{address}"),
            Some(pem) => {
                let data = base64::encode(pem.as_bytes());
                format!("server: https://{address}\n    certificate-authority-data: {data}")
            }
        };
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: mini\nclusters:\n- name: mini\n  cluster:\n    \
             {cluster}\ncontexts:\n- name: mini\n  context:\n    cluster: mini\n    user: mini\nusers:\n\
             - name: mini\n  user:\n    token: {token}\n"
        )
    }
}

/// Writes a kubeconfig for plain HTTP; see [`Kubeconfig`] for what that cannot do.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn write_kubeconfig(path: &Path, address: std::net::SocketAddr, token: &Token) -> Result<(), Error> {
    Kubeconfig { address, token, certificate: None }.write(path)
}

impl Kubeconfig<'_> {
    /// Writes the file so that only its owner can read it, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_private(path, &self.text())
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { doing: format!("cannot write the kubeconfig {}", path.display()), source };
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&fresh, path)
    })();
    written.inspect_err(|_| drop(fs::remove_file(&fresh))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_admitted() {
        let token = Token::from_text("s3cret");
        for yes in ["Bearer s3cret", "bearer s3cret", "Basic eDpzM2NyZXQ="] {
            assert!(token.admits(yes), "{yes}");
        }
        for no in ["", "s3cret", "Bearer", "Bearer s3cre", "Bearer s3crett", "Basic s3cret", "Basic czNjcmV0"] {
            assert!(!token.admits(no), "{no}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_kubeconfig_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config");
        let address = "127.0.0.1:8080".parse().expect("an address");
        write_kubeconfig(&path, address, &Token::from_text("t")).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(crate::yaml::documents(&text).expect("YAML")[0]["users"][0]["user"]["token"], "t");
    }
}
