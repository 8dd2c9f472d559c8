//! The least that an actix-web server can do: always the same bytes with the same headers.
//!
//! What Claviger's own share of a request is measured beside. It runs as a child process, like the server under test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Args;

use crate::process::{Process, free_addr};
use crate::{Failed, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long)]
    workers: usize,
    /// The file that holds what is served.
    #[arg(long)]
    body: PathBuf,
    /// `name: value`, once for each header of the answer.
    #[arg(long = "header", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), Failed> {
    let (name, value) = text.split_once(": ").ok_or("a header is `name: value`")?;
    Ok((name.parse()?, value.parse()?))
}

/// Serves until the process is asked to end.
pub(crate) fn serve(options: &Options) -> Outcome<()> {
    let body = web::Bytes::from(std::fs::read(&options.body)?);
    let headers = options.headers.clone();
    let server = HttpServer::new(move || {
        let (body, headers) = (body.clone(), headers.clone());
        let answer = move || {
            let mut response = HttpResponse::Ok();
            for header in &headers {
                response.insert_header(header.clone());
            }
            std::future::ready(response.body(body.clone()))
        };
        App::new().default_service(web::get().to(answer))
    });
    let running = async { server.workers(options.workers).bind(options.addr)?.run().await };
    Ok(actix_web::rt::System::new().block_on(running)?)
}

/// Starts a bare server; see [`serve`]. Its files go into `folder`.
pub(crate) fn spawn(folder: &Path, body: &[u8], headers: &[String]) -> Outcome<(Process, SocketAddr)> {
    let file = folder.join("bare-body");
    std::fs::write(&file, body)?;
    let addr = free_addr()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--addr", &addr.to_string(), "--workers", &crate::machine::cores().to_string(), "--body"]).arg(file);
    command.args(headers.iter().flat_map(|header| ["--header", header]));
    Ok((Process::spawn(&mut command, &folder.join("bare.log"))?, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let (name, value) = parse_header("etag: \"a: b\"").expect("a header");
        assert_eq!((name.as_str(), value.as_bytes()), ("etag", b"\"a: b\"".as_slice()));
        for bad in ["etag", "e tag: x", "etag: x\ny"] {
            assert!(parse_header(bad).is_err(), "{bad:?}");
        }
    }
}
