//! Who may act. This is the one place where that is decided.
//!
//! For now the socket's file mode decides who may connect at all, and whoever may connect may act:
//! nothing is refused here, and everything that acts is recorded with the name of whoever asked.

use evenkeel_api::wire::Problem;
use tracing::info;

use super::peer::Peer;

/// Says who `peer` is, for the record, if it may act.
///
/// # Errors
/// When it may not.
pub(super) fn may_act(peer: Peer) -> Result<String, Box<Problem>> {
    let name = peer.name();
    info!(by = %name, "asked to act");
    Ok(name)
}
