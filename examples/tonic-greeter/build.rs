//! Compiles the service definition in pure Rust: no `protoc` needs to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let definitions = protox::compile(["helloworld.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(definitions)?;
    Ok(())
}
