//! Redirectors: the code that moves clients from one instance to another, a module each.

mod link;
mod memory;
mod proxied;
pub mod proxy;

pub use link::{LinkConfig, LinkRedirector};
pub use proxied::{DrainConfig, DrainWay, ProxyConfig, ProxyRedirector};
