//! Volumes of a pod. Kinds that this crate does not act on are carried in `extra`.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::container::{FieldSelector, ResourceFieldSelector};
use super::quantity::Quantity;
use super::wire::wire;

wire! {
    /// A named volume; exactly one of its sources is set.
    Volume {
        empty_dir: Option<EmptyDir>,
        host_path: Option<HostPath>,
        config_map: Option<ConfigMapVolume>,
        secret: Option<SecretVolume>,
        #[serde(rename = "downwardAPI")]
        downward_api: Option<DownwardVolume>,
    } + always {
        name: String,
    }
    EmptyDir {
        medium: String,
        size_limit: Option<Quantity>,
    }
    HostPath {
        #[serde(rename = "type")]
        kind: Option<String>,
    } + always {
        path: String,
    }
    ConfigMapVolume {
        name: String,
        items: Vec<KeyToPath>,
        default_mode: Option<i32>,
        optional: Option<bool>,
    }
    SecretVolume {
        secret_name: String,
        items: Vec<KeyToPath>,
        default_mode: Option<i32>,
        optional: Option<bool>,
    }
    KeyToPath {
        mode: Option<i32>,
    } + always {
        key: String,
        path: String,
    }
    DownwardVolume {
        items: Vec<DownwardFile>,
        default_mode: Option<i32>,
    }
    DownwardFile {
        field_ref: Option<FieldSelector>,
        resource_field_ref: Option<ResourceFieldSelector>,
        mode: Option<i32>,
    } + always {
        path: String,
    }
}
