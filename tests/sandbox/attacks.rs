//! What an attacker tries who has taken over the process.

#![allow(
    unsafe_code,
    reason = "most of what an attacker calls has no safe name; what it does to memory is nothing"
)]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::ptr::null;

use nix::errno::Errno;
use nix::libc;

use crate::{again, ending};

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The process is ended by the kernel (SIGSYS).
    Killed,
    /// With one of these errors.
    Error(&'static [Errno]),
}
use Refusal::{Error, Killed};

const NOT_PERMITTED: Refusal = Error(&[Errno::EPERM]);
const NO_ACCESS: Refusal = Error(&[Errno::EACCES]);
const NO_SUCH_CALL: Refusal = Error(&[Errno::ENOSYS]);

/// What is tried, and how it must end. Whoever is not root may fail without a sandbox as well.
const ATTACKS: &[(&str, Refusal)] = &[
    ("read /etc/shadow", NO_ACCESS),
    ("read a key elsewhere", NO_ACCESS),
    ("list a directory elsewhere", NO_ACCESS),
    ("change a zone", NO_ACCESS),
    ("write elsewhere", NO_ACCESS),
    ("follow a link to elsewhere", NO_ACCESS),
    ("make a link to elsewhere", NOT_PERMITTED),
    ("listen on a port", NO_ACCESS),
    ("begin a program", NOT_PERMITTED),
    ("become a program", Killed),
    ("become a program by descriptor", Killed),
    ("trace a process", Killed),
    ("read the memory of a process", Killed),
    ("write the memory of a process", Killed),
    ("load a BPF program", Killed),
    ("count events of the kernel", Killed),
    ("handle faults of pages", Killed),
    ("set up a ring", Killed),
    ("load a module", Killed),
    ("boot another kernel", Killed),
    ("a new user namespace", Killed),
    ("enter a namespace", Killed),
    ("mount", Killed),
    ("change the root", Killed),
    ("a key of the kernel", Killed),
    ("ask for a key of the kernel", Killed),
    ("set the clock", Killed),
    ("open by handle", Killed),
    ("a process in a namespace by clone", NOT_PERMITTED),
    ("a process by fork", NOT_PERMITTED),
    ("a process by clone3", NO_SUCH_CALL),
    ("a raw socket", NOT_PERMITTED),
    ("a packet socket", NOT_PERMITTED),
    ("a socket of netfilter", NOT_PERMITTED),
    ("a socket past the kernel", NOT_PERMITTED),
    ("become root", NOT_PERMITTED),
    ("take capabilities", NOT_PERMITTED),
    ("signal the parent", NOT_PERMITTED),
    ("memory that is code", NOT_PERMITTED),
    ("data becomes code", NOT_PERMITTED),
    ("another filter", NOT_PERMITTED),
    ("be dumped again", NOT_PERMITTED),
    ("a device", NOT_PERMITTED),
    ("a queue of messages", NOT_PERMITTED),
];

pub(crate) fn each_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let root = nix::unistd::geteuid().is_root();
    let has_landlock = has_landlock();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (what, refusal) in ATTACKS {
        let about_files = *refusal == NO_ACCESS;
        if about_files && !has_landlock {
            eprintln!("left out: '{what}', for this kernel has no Landlock");
            continue;
        }
        tried += 1;
        let inside = ending(&again("confined", what, folder.path()));
        let expected: Vec<String> = match refusal {
            Killed => vec![format!("signal {}", libc::SIGSYS)],
            Error(errors) => errors.iter().map(|error| format!("{error:?}")).collect(),
        };
        if !expected.contains(&inside) {
            wrong.push(format!("{what}: {inside}, and not {expected:?}"));
        }
        let control = ending(&again("free", what, folder.path()));
        if root && control == inside {
            wrong.push(format!("{what}: {control} without a sandbox, too"));
        }
    }
    if root {
        for what in ["become root", "read a key elsewhere"] {
            let inside = ending(&again("nobody", what, folder.path()));
            if inside == "done" {
                wrong.push(format!("{what}: done as another user"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(tried > 30, "only {tried} attacks were tried");
}

/// What the daemon would have, and what it would not.
pub(crate) fn furnish(folder: &Path) {
    for directory in ["zones", "state", "elsewhere"] {
        fs::create_dir_all(folder.join(directory)).unwrap();
    }
    fs::write(folder.join("zones/contoso.test.zone"), "@ SOA").unwrap();
    fs::write(folder.join("elsewhere/key.pem"), "secret").unwrap();
    let link = folder.join("state/link");
    std::os::unix::fs::symlink(folder.join("elsewhere/key.pem"), link).unwrap();
}

/// Whether this kernel has it: asked without a sandbox (LANDLOCK_CREATE_RULESET_VERSION), for what
/// is refused inside must not say what ought to be.
pub(crate) fn has_landlock() -> bool {
    call(libc::SYS_landlock_create_ruleset, &[0, 0, 1]).is_ok()
}

/// Tries it, and says how it went: `done`, or the error.
pub(crate) fn attempt(what: &str, folder: &Path) -> String {
    let done = match with_files(what, folder) {
        Some(done) => done,
        None => by_number(what),
    };
    match done {
        Ok(()) => "done".to_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

fn with_files(what: &str, folder: &Path) -> Option<Result<(), Errno>> {
    let done = match what {
        "read /etc/shadow" => fs::read("/etc/shadow").map(drop),
        "read a key elsewhere" => fs::read(folder.join("elsewhere/key.pem")).map(drop),
        "list a directory elsewhere" => fs::read_dir("/etc").map(drop),
        "change a zone" => File::options()
            .append(true)
            .open(folder.join("zones/contoso.test.zone"))
            .map(drop),
        "write elsewhere" => File::create(folder.join("elsewhere/new")).map(drop),
        "follow a link to elsewhere" => fs::read(folder.join("state/link")).map(drop),
        "make a link to elsewhere" => {
            let made = std::os::unix::fs::symlink("/etc/shadow", folder.join("state/new link"));
            let _ = fs::remove_file(folder.join("state/new link"));
            made
        }
        "listen on a port" => TcpListener::bind("127.0.0.1:0").map(drop),
        "begin a program" => std::process::Command::new("/bin/true").status().map(drop),
        _ => return None,
    };
    Some(done.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0))))
}

/// One system call with up to six arguments.
fn call(number: i64, arguments: &[i64]) -> Result<i64, Errno> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: each call below is given no memory to write to, but null and numbers.
    let done = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    Errno::result(done)
}

fn number(bits: i32) -> i64 {
    i64::from(bits)
}

fn by_number(what: &str) -> Result<(), Errno> {
    let parent = i64::from(std::os::unix::process::parent_id());
    let path = c"/bin/true".as_ptr() as i64;
    let inet = number(libc::AF_INET);
    let child = match what {
        "a process in a namespace by clone" => {
            let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
            call(libc::SYS_clone, &[number(flags)])
        }
        "a process by fork" => call(libc::SYS_clone, &[number(libc::SIGCHLD)]),
        "a process by clone3" => call(libc::SYS_clone3, &[null::<u8>() as i64, 0]),
        _ => Ok(-1),
    };
    match child {
        Err(errno) => return Err(errno),
        // The new process has nothing to do.
        Ok(0) => std::process::exit(0),
        Ok(_) => {}
    }
    let made = match what {
        "a process in a namespace by clone" | "a process by fork" => Ok(0),
        "become a program" => call(libc::SYS_execve, &[path, 0, 0]),
        "become a program by descriptor" => call(libc::SYS_execveat, &[-1, path, 0, 0, 0]),
        "trace a process" => call(libc::SYS_ptrace, &[number(0x4206), parent, 0, 0]),
        "read the memory of a process" => call(libc::SYS_process_vm_readv, &[parent]),
        "write the memory of a process" => call(libc::SYS_process_vm_writev, &[parent]),
        "load a BPF program" => call(libc::SYS_bpf, &[5, 0, 0]),
        "count events of the kernel" => call(libc::SYS_perf_event_open, &[0, 0, -1, -1, 0]),
        "handle faults of pages" => call(libc::SYS_userfaultfd, &[]),
        "set up a ring" => call(libc::SYS_io_uring_setup, &[1, 0]),
        "load a module" => call(libc::SYS_init_module, &[]),
        "boot another kernel" => call(libc::SYS_kexec_load, &[0, 0, 0, 1 << 40]),
        "a new user namespace" => call(libc::SYS_unshare, &[number(libc::CLONE_NEWUSER)]),
        "enter a namespace" => call(libc::SYS_setns, &[-1, 0]),
        "mount" => call(libc::SYS_mount, &[]),
        "change the root" => call(libc::SYS_chroot, &[]),
        "a key of the kernel" => call(libc::SYS_add_key, &[]),
        "ask for a key of the kernel" => call(libc::SYS_keyctl, &[0, -3, 0]),
        "set the clock" => call(libc::SYS_clock_settime, &[0, 0]),
        "open by handle" => call(libc::SYS_open_by_handle_at, &[-1, 0, 0]),
        "a raw socket" => call(libc::SYS_socket, &[inet, number(libc::SOCK_RAW), 1]),
        "a packet socket" => {
            let of = [libc::AF_PACKET, libc::SOCK_DGRAM, 0].map(number);
            call(libc::SYS_socket, &of)
        }
        "a socket of netfilter" => {
            let of = [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER].map(number);
            call(libc::SYS_socket, &of)
        }
        "a socket past the kernel" => {
            let of = [libc::AF_XDP, libc::SOCK_RAW, 0].map(number);
            call(libc::SYS_socket, &of)
        }
        "become root" => call(libc::SYS_setresuid, &[0, 0, 0]),
        "take capabilities" => call(libc::SYS_capset, &[]),
        "signal the parent" => call(libc::SYS_kill, &[parent, 0]),
        "memory that is code" => {
            let (how, with) = (
                libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            call(libc::SYS_mmap, &[0, 4096, number(how), number(with), -1, 0])
        }
        "data becomes code" => call(libc::SYS_mprotect, &[0, 0, number(libc::PROT_EXEC)]),
        "another filter" => call(libc::SYS_seccomp, &[1, 0, 0]),
        "be dumped again" => call(libc::SYS_prctl, &[number(libc::PR_SET_DUMPABLE), 1]),
        "a device" => call(libc::SYS_mknodat, &[-100, path, 0o20600, 0x101]),
        "a queue of messages" => call(libc::SYS_msgget, &[0, 0o1600]),
        unknown => panic!("nobody knows how to '{unknown}'"),
    };
    made.map(drop)
}
