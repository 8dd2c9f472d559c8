//! The gallery, for developers: `cargo run -p pages --example gallery -- DIR`, then open `DIR/index.html`.

use std::path::PathBuf;

mod write;

fn main() -> std::io::Result<()> {
    let root = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| std::io::Error::other("usage: gallery DIR"))?;
    write::gallery(&root)
}
