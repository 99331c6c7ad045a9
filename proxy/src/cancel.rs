//! Cancel keys: which server a client's CancelRequest belongs to.

use std::sync::Arc;

use dashmap::DashMap;
use sqlward_wire::CancelKey;

use crate::upstream::Upstream;

/// What a server gave a client to cancel with (PostgreSQL manual, BackendKeyData).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backend {
    /// The server process.
    pub pid: u32,
    /// The secret: 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub key: CancelKey,
}

impl Backend {
    /// The CancelRequest message that carries its key (PostgreSQL manual, "Message Formats").
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        const CODE: u32 = 80_877_102;
        let length = u32::try_from(12 + self.key.as_bytes().len()).unwrap_or(u32::MAX);
        let mut message = Vec::with_capacity(12 + self.key.as_bytes().len());
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&CODE.to_be_bytes());
        message.extend_from_slice(&self.pid.to_be_bytes());
        message.extend_from_slice(self.key.as_bytes());
        message
    }
}

/// The cancel keys of every open session.
#[derive(Debug, Default)]
pub struct CancelKeys(DashMap<Backend, Arc<Upstream>>);

impl CancelKeys {
    /// Remember that `backend` belongs to a session on `upstream`, until the result is dropped.
    #[must_use]
    pub fn register(self: &Arc<Self>, backend: Backend, upstream: Arc<Upstream>) -> Registered {
        self.0.insert(backend.clone(), upstream);
        Registered { keys: Arc::clone(self), backend }
    }

    /// The server that gave `backend` to a client.
    #[must_use]
    pub fn upstream(&self, backend: &Backend) -> Option<Arc<Upstream>> {
        self.0.get(backend).map(|entry| Arc::clone(entry.value()))
    }
}

/// A cancel key in use; forgotten when dropped.
#[derive(Debug)]
pub struct Registered {
    keys: Arc<CancelKeys>,
    backend: Backend,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.keys.0.remove(&self.backend);
    }
}
