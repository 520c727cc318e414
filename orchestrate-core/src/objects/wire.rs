//! How object types are written down: two macros that give every type the same JSON habits.
//!
//! `wire!` makes a struct whose fields are camelCase, optional on input (`null` is absent, as upstream), and left out
//! on output while they hold their default; fields after `+ always` are printed even then. Fields that this crate does
//! not name are carried in `extra`, so that nothing of a user's template is lost on its way into a pod.
//! `words!` makes an enum of bare words.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Fields that this crate does not name, carried as they came.
pub type Extra = BTreeMap<String, serde_json::Value>;

pub(crate) fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

macro_rules! wire {
    ($($(#[$m:meta])* $name:ident {
        $($(#[$fm:meta])* $field:ident : $ty:ty),* $(,)?
    } $(+ always { $($(#[$am:meta])* $afield:ident : $aty:ty),* $(,)? })?)*) => { $(
        $(#[$m])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $(
                $(#[$fm])*
                #[serde(skip_serializing_if = "crate::objects::wire::absent")]
                #[serde(deserialize_with = "crate::objects::wire::nullable")]
                pub $field: $ty,
            )*
            $($(
                $(#[$am])*
                #[serde(deserialize_with = "crate::objects::wire::nullable")]
                pub $afield: $aty,
            )*)?
            /// Fields that this crate does not name.
            #[serde(flatten)]
            pub extra: crate::objects::wire::Extra,
        }
    )* };
}

macro_rules! words {
    ($($(#[$m:meta])* $name:ident { $($(#[$vm:meta])* $word:ident = $text:literal),* $(,)? })*) => { $(
        $(#[$m])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $( $(#[$vm])* #[serde(rename = $text)] $word ),* }
        impl $name {
            /// The word as it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$word => $text ),* }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )* };
}

pub(crate) use {wire, words};
