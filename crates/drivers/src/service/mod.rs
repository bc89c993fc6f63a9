//! Services: a process with a configuration tree, perhaps a data tree, and an address.
//!
//! Read `config` first, then `driver` (what the port promises), `supervise` (the process at one place),
//! `rehearse` and `evidence`. Left out on purpose: running as another user, limits and cgroups; that is
//! what `supervise = "systemd"` is for, or a wrapper such as `setpriv` in `start`.

mod config;
mod driver;
mod evidence;
mod health;
mod prepare;
mod record;
mod rehearse;
mod restart;
mod site;
mod supervise;
mod systemd;

pub use config::{HealthConfig, Places, ServiceConfig, Supervise};
pub use driver::ServiceDriver;
