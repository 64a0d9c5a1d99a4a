//! Compiles the .proto files with a pure-Rust compiler: nobody needs protoc.
use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["common", "signer", "keys", "tokens", "vault", "audit", "daemon"]
        .map(|f| format!("proto/touchmark/v1/{f}.proto"));
    let descriptors = protox::compile(&files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("touchmark.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
