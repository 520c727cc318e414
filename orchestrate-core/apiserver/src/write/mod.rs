//! Every way to change the store: create, replace, patch, delete, and the subresources that write.
//!
//! Order of a write: decode and prune → carry over what the server owns → defaults → allocate →
//! validate → store. Only `store.put` and `store.remove` have an effect, and a dry run stops before.

mod allocate;
mod create;
mod delete;
mod sub;
mod update;

use std::sync::Arc;

use serde_json::Value;

use crate::convert::to_served;
use crate::form::Form;
use crate::path::Target;
use crate::request::{Request, Response};
use crate::store::Key;
use crate::time::Millis;

/// One write under way.
pub(crate) struct Call<'r> {
    pub(crate) target: &'r Target,
    pub(crate) request: &'r Request,
    pub(crate) now: Millis,
    pub(crate) warnings: Vec<String>,
}

impl Call<'_> {
    fn key(&self) -> Key {
        Key::new(&self.target.namespace, &self.target.name)
    }

    fn table(&self) -> usize {
        self.target.resource.store
    }

    /// The answer that shows the object.
    fn show(&self, code: u16, object: &Arc<Value>) -> Response {
        let served = to_served(self.target.resource, object);
        Response::json(code, Form::of(self.request).one(self.target.resource, &served, self.now))
    }
}
