//! What must hold of any configuration.

use std::path::Path;

use switchback::config;

/// Panics if the configuration in `input`, or what is said against it, is not as it must be.
/// `folder` is where its relative paths begin.
pub(crate) fn check(input: &[u8], folder: &Path) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Nothing outside the folder: what lies there is not the same everywhere.
    if text.contains("..") || text.contains("\"/") || text.contains("'/") || text.contains('\\') {
        return;
    }
    let path = folder.join("fuzzed.toml");
    let lines = text.split('\n').count();
    let problems = match config::read(&path, text) {
        Ok((config, _)) => {
            assert!(!config.listen.dns.is_empty(), "it listens somewhere");
            let again = config::read(&path, text).unwrap().0;
            assert_eq!(
                format!("{config:?}"),
                format!("{again:?}"),
                "the same again"
            );
            return;
        }
        Err(problems) => problems,
    };
    assert!(!problems.errors.is_empty(), "refused for a reason");
    let here = path.display().to_string();
    for problem in &problems.errors {
        let line = usize::try_from(problem.line).unwrap();
        assert!(!problem.message.is_empty());
        assert!(*problem.file != *here || line <= lines, "{problem}");
    }
}
