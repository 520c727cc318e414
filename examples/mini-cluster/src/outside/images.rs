//! Images for the cluster: one store for all nodes, a registry on loopback, pulls of everything else.
//!
//! The inside half has no way outward, so this half brings images into the store. Repositories that the cluster's own
//! registry has are pulled from there, over real HTTP and with a random credential, and its answer is final; every
//! other name is pulled from the registry that it names. The base image is made here; the demo application is packed
//! and pushed when its name is first asked for.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use image_store::registry_server::{self, Handle, Storage};
use image_store::{Image, LayerEntry, PullOptions, Reference, Registry, Store, base};

use crate::error::{Error, Result};
use crate::state::Root;

/// The demo application's repository.
const APP: &str = "my-app";
/// Its versions.
const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// The store and the registry.
#[derive(Debug)]
pub(crate) struct Images {
    store: Store,
    server: Handle,
    own: Registry,
    others: Registry,
    /// What was published, once it was.
    published: Mutex<Option<String>>,
    pulling: Mutex<()>,
}

impl Images {
    /// Opens the store and starts the registry.
    pub(crate) fn open(root: &Root) -> Result<Self> {
        let failed = |doing: &str| {
            let doing = doing.to_owned();
            move |error: image_store::Error| Error::library(doing, error)
        };
        let store = Store::open(root.images()).map_err(failed("open the image store"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(|source| Error::system("listen for the registry", source))?;
        let credential = registry_server::random_credential().map_err(failed("make the registry's credential"))?;
        let own = Registry::new().credential(&credential.0, &credential.1);
        let server = registry_server::serve(listener, Storage::Memory, Some(credential));
        let server = server.map_err(failed("start the registry"))?;
        let config = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
        let mut others = Registry::new();
        if let Some(config) = config {
            others = others.docker_config(config.join("config.json")).map_err(failed("read Docker's credentials"))?;
        }
        Ok(Self { store, server, own, others, published: Mutex::default(), pulling: Mutex::default() })
    }

    /// Brings an image into the store.
    pub(crate) fn pull(&self, image: &str) -> Result<()> {
        let name = reference(image)?;
        if name == reference(base::NAME)? {
            return base::ensure(&self.store).map(drop).map_err(|error| Error::library("make the base image", error));
        }
        if name.familiar_name() == APP {
            self.publish_demo()?;
            return self.pull_own(&name);
        }
        let pulled = self.store.pull(&self.others, &name, &PullOptions::default());
        pulled.map(drop).map_err(|error| Error::library(format!("pull {name}"), error))
    }

    /// Pulls from the cluster's registry and gives the image the name that was asked for.
    fn pull_own(&self, name: &Reference) -> Result<()> {
        // One at a time: several nodes may ask for the same image at once.
        let _one = self.pulling.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| Error::library(format!("pull {name} from the cluster's registry"), error);
        let there = self.mirrored(name)?;
        let pulled = self.store.pull(&self.own, &there, &PullOptions::default()).map_err(failed)?;
        self.store.tag(&pulled.image, name).map_err(failed)?;
        self.store.remove(&there.to_string(), false).map(drop).map_err(failed)
    }

    /// Packs this very program as the demo application, in two versions, and pushes it; says what was made.
    pub(crate) fn publish_demo(&self) -> Result<String> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = &*published {
            return Ok(said.clone());
        }
        let begun = Instant::now();
        let base = base::ensure(&self.store).map_err(|error| Error::library("make the base image", error))?;
        let own = std::env::current_exe().map_err(|source| Error::system("find this program", source))?;
        let files = base::program(&own, "/app").map_err(|error| Error::library("pack this program", error))?;
        let mut digests = Vec::new();
        for version in VERSIONS {
            let name = reference(&format!("{APP}:{version}"))?;
            let failed = |error| Error::library(format!("push {name} to the cluster's registry"), error);
            let there = self.mirrored(&name)?;
            let image = self.build(&base, &files, version, &there)?;
            let digest = self.store.push(&self.own, &image, &there, None).map_err(failed)?;
            // Only the registry has it now: what runs was pulled.
            self.store.remove(&there.to_string(), false).map_err(failed)?;
            digests.push(format!("{name} ({})", digest.short()));
        }
        let took = begun.elapsed().as_secs_f64();
        let said = format!("{}, {} pushed to {} in {took:.1} s", base::NAME, digests.join(", "), self.server.address());
        *published = Some(said.clone());
        Ok(said)
    }

    fn build(&self, base: &Image, files: &[LayerEntry], version: &str, name: &Reference) -> Result<Image> {
        let built = self.store.build_layer(
            base,
            files,
            |config| {
                config.entrypoint = Some(vec!["/app".to_owned(), "__app".to_owned()]);
                config.cmd = None;
                config.env.push(format!("APP_VERSION={version}"));
                config.exposed_ports = vec!["80/tcp".to_owned()];
            },
            name,
        );
        built.map_err(|error| Error::library(format!("build {APP}:{version}"), error))
    }

    /// The name that an image has in the cluster's registry.
    fn mirrored(&self, name: &Reference) -> Result<Reference> {
        let tag = name.tag().unwrap_or("latest");
        reference(&format!("{}/{}:{tag}", self.server.address(), name.repository()))
    }
}

fn reference(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| Error::library(format!("read the image name {text:?}"), error))
}
