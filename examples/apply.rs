//! Applies a description in the words of `ip -json -details` to the network stack, all of it or nothing.
//!
//! ```sh
//! ip -json -details address show > saved.json
//! cargo run --features serde --example apply -- saved.json --review    # what it would come to
//! cargo run --features serde --example apply -- saved.json
//! cargo run --features serde --example apply -- --save > saved.json    # with nexthops, neighbours, routes and rules
//! ```

use std::error::Error;
use std::process::ExitCode;

use netlinkdb::{Db, Selection, Tree};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        ["--save"] => save(),
        [file] => apply(file, false),
        [file, "--review"] | ["--review", file] => apply(file, true),
        _ => Err("usage: apply FILE [--review], or apply --save".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn apply(file: &str, review: bool) -> Result<(), Box<dyn Error>> {
    let tree: Tree = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let db = Db::builder().neighbours(true).open()?;
    let mut tx = db.begin();
    tx.load(&tree)?;
    println!("{}", tx.review());
    if !review {
        tx.commit()?;
    }
    Ok(())
}

fn save() -> Result<(), Box<dyn Error>> {
    let saved = Selection::everything().export(&Db::builder().neighbours(true).open()?.snapshot());
    println!("{}", serde_json::to_string_pretty(&saved)?);
    Ok(())
}
