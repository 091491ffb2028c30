//! The table of operations in README.md, made from the code and compared with it.
//!
//! An operation works over HTTP when it has a row in `trilith_api::operations`, and over gRPC when the descriptor that reflection
//! serves has a method of its name. `UPDATE_GOLDEN=1 cargo test -p trilith-tests --test operations_table` writes the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use trilith_api::operations::{Target, find, names, operations};
use trilith_proto::FILE_DESCRIPTOR_SET;

const BEGIN: &str = "<!-- operations:begin -->\n";
const END: &str = "<!-- operations:end -->";

/// Methods of the data service.
fn grpc_methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set");
    let files = set.file.iter().filter(|file| file.package() == "trilith.data.v1");
    let services = files.flat_map(|file| &file.service);
    services.flat_map(|service| &service.method).map(|method| method.name().to_owned()).collect()
}

fn table() -> String {
    let grpc = grpc_methods();
    let mark = |works: bool| if works { "yes" } else { "–" };
    let mut text = String::new();
    let total = names::SERVICE.len();
    let works = operations().len();
    writeln!(text, "{works} of the service's {total} operations work.\n").expect("a string takes all");
    text.push_str("| operation | HTTP | gRPC |\n|---|---|---|\n");
    for (target, name) in names::SERVICE {
        let over_http = find(&format!("{}.{name}", target.prefix())).is_some();
        let streams = if target == Target::Streams { " (Streams)" } else { "" };
        let (http, rpc) = (mark(over_http), mark(grpc.contains(name)));
        writeln!(text, "| {name}{streams} | {http} | {rpc} |").expect("a string takes all");
    }
    text
}

#[test]
fn readme_says_which_operations_work() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("the line where the table begins");
    let (found, after) = rest.split_once(END).expect("the line where the table ends");
    let expected = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).expect("README.md can be written");
        return;
    }
    assert_eq!(found, expected, "README.md is stale: run this test with UPDATE_GOLDEN=1");
}

/// A method that the descriptor has and the service does not, or an operation over gRPC alone, is a mistake.
#[test]
fn grpc_offers_what_http_offers() {
    let http: BTreeSet<String> = operations().iter().map(|operation| operation.name.to_owned()).collect();
    assert_eq!(grpc_methods(), http);
}
