//! Files, by Landlock.
//!
//! A rule names a directory and holds for all that is in it, then and later; so a file that is
//! replaced, as editors and ACME clients do, can be read again. The directory of a file that stands
//! in a place like `/etc` would grant too much: there the file itself is granted, as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags,
};

/// The newest version that this code has been written for.
const WRITTEN_FOR: ABI = ABI::V6;
/// A directory with fewer names in its path holds things of many programs.
const OWN_DEPTH: usize = 2;

/// The root certificates of the usual systems: `update-ca-certificates` and its like write there.
const ROOTS: [&str; 7] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];
/// Variables that name others (openssl).
const ROOTS_ELSEWHERE: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The files that stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories, and files of directories that hold more than ours, that are read.
    pub read: BTreeSet<PathBuf>,
    /// Directories that are written to.
    pub write: BTreeSet<PathBuf>,
    /// Directories of which only our own entry is removed in the end.
    pub tidy: BTreeSet<PathBuf>,
}

impl Grants {
    /// Grants to read what the configuration names at `path`, and what will stand there later: its
    /// directory, and that of what it points to.
    pub fn to_read(&mut self, path: &Path) {
        let points_to = path.canonicalize().ok();
        for path in points_to.iter().map(PathBuf::as_path).chain([path]) {
            let directory = if path.is_dir() {
                Some(path)
            } else {
                path.parent()
            };
            let own = directory.filter(|it| it.components().count() > OWN_DEPTH);
            self.read.insert(own.unwrap_or(path).to_owned());
        }
    }

    /// Grants to read the root certificates of this system.
    pub fn roots(&mut self) {
        let elsewhere = ROOTS_ELSEWHERE.iter().filter_map(std::env::var_os);
        let places =
            elsewhere.flat_map(|places| std::env::split_paths(&places).collect::<Vec<_>>());
        self.read
            .extend(ROOTS.iter().map(PathBuf::from).chain(places));
    }
}

/// A ruleset with everything that is granted.
pub(super) fn ruleset(grants: &Grants) -> Result<RulesetCreated, String> {
    let made = || -> Result<RulesetCreated, landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(WRITTEN_FOR))?
            // There is no rule for it: whoever listens after this is not us.
            .handle_access(AccessNet::BindTcp)?
            // The line to the service manager was connected before, and stays open.
            .scope(make_bitflags!(Scope::{Signal | AbstractUnixSocket}))?
            .create()?;
        let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let write = read
            | make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir});
        let tidy: BitFlags<AccessFs> = AccessFs::RemoveFile.into();
        let all = [
            (&grants.read, read),
            (&grants.write, write),
            (&grants.tidy, tidy),
        ];
        for (paths, access) in all {
            for path in paths {
                // What does not exist needs no grant.
                let Ok(opened) = PathFd::new(path) else {
                    continue;
                };
                // A rule of a file knows no right of directories.
                let access = match path.is_dir() {
                    true => access,
                    false => access & AccessFs::from_file(WRITTEN_FOR),
                };
                if !access.is_empty() {
                    ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
                }
            }
        }
        Ok(ruleset)
    };
    made().map_err(|error| error.to_string())
}

/// Restricts this thread, and gives back the version of the kernel's Landlock.
pub(super) fn restrict(ruleset: RulesetCreated) -> Result<i32, String> {
    let status = ruleset.restrict_self().map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled) => {
            Err("the kernel was started without Landlock (lsm=landlock,...)".to_owned())
        }
        (_, LandlockStatus::NotImplemented) => Err("the kernel has no Landlock".to_owned()),
        (
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced,
            LandlockStatus::Available {
                effective_abi,
                kernel_abi,
            },
        ) => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
    }
}
