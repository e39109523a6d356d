//! Compiles the .proto files without a protoc install.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["entry.proto", "raft.proto", "peer.proto", "control.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
