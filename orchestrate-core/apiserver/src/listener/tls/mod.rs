//! TLS for the listener: an identity made at start, known to nobody but the kubeconfig's reader.

mod certificate;

use std::io;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::time::Millis;

/// A key pair, and a certificate for it that only itself vouches for.
#[derive(Clone)]
pub struct Identity {
    certificate: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// A fresh identity for `localhost` and the loopback addresses, good for ten years from `now`.
    ///
    /// # Errors
    /// The kernel's randomness cannot be read.
    pub fn self_signed(now: Millis) -> io::Result<Self> {
        let failed = |what: &str| io::Error::other(format!("cannot make {what}"));
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let pkcs8 = pkcs8.map_err(|_| failed("a key"))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let key = key.map_err(|_| failed("a key"))?;
        let mut serial = [0_u8; 16];
        random.fill(&mut serial).map_err(|_| failed("a serial number"))?;
        let unsigned = certificate::unsigned(&serial, key.public_key().as_ref(), now);
        let signature = key.sign(&random, &unsigned).map_err(|_| failed("a signature"))?;
        let certificate = certificate::signed(&unsigned, signature.as_ref());
        let chain = vec![CertificateDer::from(certificate.clone())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// The certificate, for whoever is to trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        let text = crate::base64::encode(&self.certificate);
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
    }
}
