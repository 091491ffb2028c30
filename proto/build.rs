//! Builds the messages, clients and servers from `proto/*.proto`, without protoc: protox parses, tonic's generator writes.

use std::path::PathBuf;
use std::{env, error, fs};

use protox::Compiler;

const FILES: [&str; 3] = ["data.proto", "admin.proto", "cluster.proto"];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let described = compiler.file_descriptor_set();

    // Reflection needs no comments: they would double what every server carries.
    compiler.include_source_info(false);
    fs::write(out.join("trilith_descriptor.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        // Maps in the order of their keys: two equal messages have one encoding.
        .btree_map(".")
        // Frames are passed on without a copy; attribute values own their bytes, as `AttributeValue` does.
        .bytes(".trilith.cluster.v1")
        .compile_fds(described)?;
    Ok(())
}
