//! A service with the SDK for Rust: one path for each thing the tests ask of a host.

use fastly::http::Method;
use fastly::{ConfigStore, Error, KVStore, Request, Response};
use std::io::Write;

fn main() -> Result<(), Error> {
    let request = Request::from_client();
    let path = request.get_path().to_string();
    match path.as_str() {
        "/fanout" => request.handoff_fanout("origin")?,
        "/stream" => {
            let mut body = Response::new().stream_to_client();
            for part in ["one ", "two ", "three\n"] {
                body.write_all(part.as_bytes())?;
                body.flush()?;
            }
            body.finish()?;
        }
        _ => answer(request, &path)?.send_to_client(),
    }
    Ok(())
}

fn answer(mut request: Request, path: &str) -> Result<Response, Error> {
    Ok(match path {
        "/answer" => {
            let asked = request.get_header_str("x-asked").unwrap_or("").to_string();
            Response::from_body(format!("{} {}\n", request.get_method(), asked))
                .with_status(201)
                .with_header("x-one", "1")
                .with_header("x-two", "a")
                .with_header("x-two", "b")
        }
        "/echo" => {
            Response::from_body(request.take_body()).with_header("content-type", "text/plain")
        }
        "/fetch" => {
            let mut got = Request::new(Method::POST, "http://fetched.test/echo?a=b")
                .with_header("x-sent", "1")
                .with_body("sent")
                .send("origin")?;
            let seen: serde_json::Value = got.take_body_json()?;
            let line = seen["line"].as_str().unwrap_or("");
            let body = seen["body"].as_str().unwrap_or("");
            Response::from_body(format!("{} {} {}\n", got.get_status().as_u16(), line, body))
        }
        "/config" => {
            let store = ConfigStore::open("settings");
            let none = store.get("none").unwrap_or("null".to_string());
            Response::from_body(format!("{} {}\n", store.get("greeting").unwrap_or_default(), none))
        }
        "/kv" => {
            let store = KVStore::open("nothing")?.expect("the store is there");
            store.insert("key", "value")?;
            let value = store.lookup("key")?.take_body().into_string();
            let none = if store.lookup("none").is_err() { "null" } else { "found" };
            Response::from_body(format!("{value} {none}\n"))
        }
        "/log" => {
            writeln!(fastly::log::Endpoint::from_name("mine"), "a line")?;
            Response::from_body("logged\n")
        }
        _ => Response::from_body("ready\n"),
    })
}
