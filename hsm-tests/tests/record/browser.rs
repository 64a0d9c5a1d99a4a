//! The report of a ceremony in a real browser: one page, complete, silent, and without a word to anybody.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hsm_tests::chromium::Chromium;
use serde_json::Value;

use crate::merge::Rehearsal;
use crate::stage::fleet;

#[test]
fn the_report_is_one_page_that_asks_nobody_for_anything() {
    let Some(chromium) = Chromium::find() else { return };
    let (url, heard) = somebody_who_listens();
    let hostile = format!("</title><script src='{url}'></script><img src={url}>\u{202e}");

    // Many repositories, as they would fill a page.
    let fleet = fleet(20);
    let images: Vec<&str> = fleet.iter().map(String::as_str).collect();
    let rehearsal = Rehearsal::of(&images, &["--title", &hostile]);
    let record = rehearsal.record();
    rehearsal.run("publish", &record).arg("--yes").ok();
    let page = rehearsal.desk.file("report.html");
    let told = rehearsal.run("verify", &record).arg("--report").arg(&page).ok().json();
    assert_eq!(told["whole"], Value::Bool(true));

    let dom = chromium.dom(&page);
    for wanted in [
        "REHEARSAL",
        "&lt;script src='",
        "20 roots signed",
        "alice.transcript",
        "Signed by hand",
        told["fingerprint"].as_str().unwrap(),
        told["plan"]["fingerprint"].as_str().unwrap(),
        told["shares"][1]["key"].as_str().unwrap(),
    ] {
        assert!(dom.html.contains(wanted), "{wanted} is not in\n{}", dom.html);
    }
    assert_eq!(dom.console, Vec::<String>::new());
    assert_eq!(chromium.pages(&page), 1);
    assert_eq!(heard.load(Ordering::SeqCst), 0, "it asked somebody");

    // The same eyes see a page that does all of that.
    let bad = rehearsal.desk.file("bad.html");
    let sheet = "<p style='break-after: page'>1</p><p>2</p>";
    std::fs::write(&bad, format!("<title>{hostile}{sheet}<script>console.error('seen')</script>")).unwrap();
    assert!(chromium.dom(&bad).console.iter().any(|line| line.contains("seen")));
    assert_eq!(chromium.pages(&bad), 2);
    assert!(heard.load(Ordering::SeqCst) > 0, "a page that asks is heard");
    assert!(is_self_contained(&page));
}

/// The address of somebody who has nothing for anybody, and how many have asked.
fn somebody_who_listens() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut asker in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            asker.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
        }
    });
    (url, heard)
}

/// Nothing in the file leads out of it.
fn is_self_contained(page: &Path) -> bool {
    let text = std::fs::read_to_string(page).unwrap();
    !["<script", "<img", "<iframe", "url(", "@import"].iter().any(|way| text.contains(way))
}
