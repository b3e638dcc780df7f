//! curl, as a client that nobody here wrote.

use tokio::process::Command;

/// What curl prints for a URL.
///
/// # Panics
///
/// When it does not run, or gets no response.
pub async fn curl<'a>(options: impl IntoIterator<Item = &'a str>, url: &str) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--globoff"])
        .args(options)
        .arg(url)
        .output()
        .await
        .expect("curl runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
