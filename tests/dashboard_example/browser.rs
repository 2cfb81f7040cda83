//! What the page shows in a real browser, where there is one.

use crate::program::{Dashboard, wait};
use crate::{folder, prepare};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn a_browser_shows_the_numbers_of_the_store() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium in PATH");
        return;
    };
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let dashboard = Dashboard::on(&db);
    let link = format!("http://{}/?token={}", dashboard.address, dashboard.token);

    let page = look(&browser, &link, folder.path());
    let stats = &dashboard.json("/api/admin")["overview"]["stats"];
    let shown = |page: &str, value: &str, text: &str| {
        let element = page.split(&format!("data-value=\"{value}\"")).nth(1);
        let content = element
            .and_then(|rest| rest.split_once('>'))
            .map(|(_, rest)| rest);
        let text = format!("{text}<");
        assert!(
            content.is_some_and(|content| content.starts_with(&text)),
            "{value}:\n{page}"
        );
    };
    for value in [
        "total_messages",
        "total_sessions",
        "total_users",
        "active_users_7d",
    ] {
        shown(
            &page,
            &format!("overview.stats.{value}"),
            &stats[value].to_string(),
        );
    }
    shown(&page, "overview.stats.total_cost", "$1.25");
    shown(&page, "errorRate", "20%");
    assert!(
        page.contains("1.25") && page.contains("5, 1 failed"),
        "{page}"
    );
    assert!(page.contains(">working<"), "{page}");
    for shown in [
        "each user, $2.00 a day",
        "everyone, $2.00 for ever",
        ">$0.750 left<",
        ">by user<",
        ">parrot-5<",
        ">4.5K<",
    ] {
        assert!(page.contains(shown), "{shown}:\n{page}");
    }
    assert!(
        page.contains("&lt;img src=x onerror"),
        "the name is there, as text"
    );
    assert!(!page.contains("<img src=\"x\""), "and not as HTML");
    assert!(page.contains("<title>botstore</title>"), "{page}");

    let page = look(&browser, &format!("{link}#user/2"), folder.path());
    let user = &page[page.find("id=\"user\"").expect("the user's part")..];
    shown(user, "overview.stats.total_messages", "2");
    shown(user, "overview.stats.total_cost", "$0.500");
    shown(user, "errorRate", "50%");
    assert!(user.contains(">$1.50 left, until "), "{page}");
    assert!(!page.contains("<img src=\"x\""), "{page}");

    let stranger = format!("http://{}/", dashboard.address);
    let page = look(&browser, &stranger, folder.path());
    assert!(
        page.contains("Open the link that the program printed"),
        "{page}"
    );
    assert!(!page.contains("ada"), "{page}");
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places = std::env::split_paths(&path).collect::<Vec<_>>();
    let mut candidates = names
        .iter()
        .flat_map(|name| places.iter().map(move |p| p.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

/// What the page is once its scripts have run.
fn look(browser: &Path, link: &str, folder: &Path) -> String {
    let page = folder.join("page.html");
    let mut process = Command::new(browser)
        // Its own sandbox does not work everywhere that tests run; it opens nothing but this page.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--disable-sync", "--virtual-time-budget=1500", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("browser").display()
        ))
        .arg(link)
        .stdout(File::create(&page).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    assert!(wait(&mut process), "the browser");
    std::fs::read_to_string(page).expect("a page")
}
