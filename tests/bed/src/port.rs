//! A port for a process that is told where to listen.

use std::net::TcpListener;

use crate::Error;
use crate::Result;

/// A port of the loopback that is free now. Somebody could take it before the process binds it: that says so and ends.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::Socket)?;
    Ok(listener.local_addr().map_err(Error::Socket)?.port())
}
