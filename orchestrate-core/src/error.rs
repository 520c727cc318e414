//! The one error of this crate: input that could not be read. Decisions never fail; trouble there is an event or a note.

/// Input that this crate could not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object's apiVersion and kind are none that this crate knows.
    #[error("no kind {kind:?} in version {api_version:?}")]
    UnknownKind {
        /// The apiVersion that was given.
        api_version: String,
        /// The kind that was given.
        kind: String,
    },
    /// A JSON object does not have its kind's shape.
    #[error("{subject} is not a valid {kind}")]
    Malformed {
        /// Namespace and name, as far as they could be read.
        subject: String,
        /// The kind that was expected.
        kind: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// Something that a pod refers to is not there.
    #[error("{what}")]
    Unresolved {
        /// What is missing, in upstream's words.
        what: String,
    },
    /// Nothing of a range is left.
    #[error("no {what} are left")]
    Exhausted {
        /// What ran out.
        what: &'static str,
    },
    /// A wanted address or port cannot be had.
    #[error("{what}: {why}")]
    Unusable {
        /// What was wanted.
        what: String,
        /// Why not.
        why: String,
    },
    /// A text is not what its field holds (a quantity, a time, a percentage).
    #[error("{text:?} is not a {expected}")]
    Unreadable {
        /// What was given.
        text: String,
        /// What it should have been.
        expected: &'static str,
    },
}

impl Error {
    pub(crate) fn unreadable(text: &str, expected: &'static str) -> Self {
        Self::Unreadable { text: text.chars().take(80).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_clause() {
        let source = serde_json::from_str::<u8>("x").unwrap_err();
        let all = [
            Error::UnknownKind { api_version: "v9".into(), kind: "Pod".into() },
            Error::Malformed { subject: "d/p".into(), kind: "Pod", source },
            Error::Unresolved { what: "configmap \"c\" not found".into() },
            Error::Exhausted { what: "node ports" },
            Error::Unusable { what: "nodePort 80".into(), why: "provided port is already allocated".into() },
            Error::unreadable("1x", "quantity"),
        ];
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts.join("\n"),
            "no kind \"Pod\" in version \"v9\"\nd/p is not a valid Pod\nconfigmap \"c\" not found\n\
             no node ports are left\nnodePort 80: provided port is already allocated\n\"1x\" is not a quantity"
        );
    }
}
