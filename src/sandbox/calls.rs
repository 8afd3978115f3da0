//! System calls, by seccomp filters (seccomp(2)).
//!
//! Three filters, of which the strictest word counts:
//!
//! - [`HOSTILE`] calls end the process: no library that we use ever makes them once everything has
//!   started, so whoever makes one has taken it over. The service manager starts another.
//! - `clone3` does not exist: its arguments stand in memory, where a filter cannot look, and the C
//!   library falls back to `clone`, whose flags it can.
//! - what is not in [`PLAIN`], or not as [`conditional`] has it, is not permitted (EPERM): an
//!   unusual path of a library gets an error, and the server goes on.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, apply_filter_all_threads,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Other programs, other processes, the kernel itself, other views of the file system, keys.
const HOSTILE: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_personality,
];

/// What a server does: sockets that it has, files, memory, time, threads.
const PLAIN: &[i64] = &[
    // Sockets and what waits for them.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Files and pipes.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munmap,
    // Time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    // Threads and signals of our own.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setpriority,
    libc::SYS_getpriority,
    libc::SYS_sigaltstack,
    libc::SYS_wait4,
    libc::SYS_waitid,
    // Who and where we are.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    // Allowed here, and taken away by a filter of its own: see the head of this file.
    libc::SYS_clone3,
];

/// The older names of some, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_accept,
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[libc::SYS_accept];

/// A thread is made with these flags, whatever else: it shares all that we have.
const THREAD: u64 = flags(
    libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD,
);
/// The flags that would make a process, or a namespace.
const NOT_THREAD: u64 = flags(
    libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_VFORK
        | libc::CLONE_PTRACE,
);

const fn flags(bits: i32) -> u64 {
    bits.cast_unsigned() as u64
}

/// What is allowed with some arguments only.
fn conditional() -> Result<Rules, seccompiler::BackendError> {
    let when = |argument, operator, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
    };
    let is = |argument, value: i32| when(argument, SeccompCmpOp::Eq, flags(value));
    let lacks = |argument, value: u64| when(argument, SeccompCmpOp::MaskedEq(value), 0);
    let one = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    // The kind of a socket stands in its lower bits, beside flags.
    let kind = |kind: i32| when(1, SeccompCmpOp::MaskedEq(0xf), flags(kind));
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX] {
        for of in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            sockets.push(one(vec![is(0, family)?, kind(of)?])?);
        }
    }
    // `getifaddrs` and the C library's look for addresses of our own.
    let netlink = vec![is(0, libc::AF_NETLINK)?, is(2, libc::NETLINK_ROUTE)?];
    sockets.push(one(netlink)?);
    // No memory that can be written becomes code.
    let data = || one(vec![lacks(2, flags(libc::PROT_EXEC))?]);
    let own = std::process::id();
    let to_self = |argument| when(argument, SeccompCmpOp::Eq, u64::from(own));
    let mut rules = Rules::new();
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(
        libc::SYS_socketpair,
        vec![one(vec![is(0, libc::AF_UNIX)?])?],
    );
    rules.insert(libc::SYS_mmap, vec![data()?]);
    rules.insert(libc::SYS_mprotect, vec![data()?]);
    rules.insert(libc::SYS_pkey_mprotect, vec![data()?]);
    rules.insert(
        libc::SYS_clone,
        vec![one(vec![
            when(0, SeccompCmpOp::MaskedEq(THREAD), THREAD)?,
            lacks(0, NOT_THREAD)?,
        ])?],
    );
    // A panic that aborts, and signals between our threads.
    for call in [libc::SYS_tgkill, libc::SYS_kill] {
        rules.insert(call, vec![one(vec![to_self(0)?])?]);
    }
    // Limits of our own.
    let limits = vec![one(vec![is(0, 0)?])?, one(vec![to_self(0)?])?];
    rules.insert(libc::SYS_prlimit64, limits);
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_GET_DUMPABLE];
    let more = [PR_SET_VMA, libc::PR_GET_NO_NEW_PRIVS, libc::PR_CAPBSET_READ];
    let prctl = names
        .iter()
        .chain(&more)
        .map(|what| one(vec![is(0, *what)?]));
    rules.insert(libc::SYS_prctl, prctl.collect::<Result<_, _>>()?);
    // Asking for capabilities is harmless; there are none to set.
    rules.insert(libc::SYS_capget, Vec::new());
    let requests = [FIONBIO, FIOCLEX, FIONREAD, TCGETS, TIOCGWINSZ];
    let ioctl = requests
        .iter()
        .map(|request| one(vec![when(1, SeccompCmpOp::Eq, *request)?]));
    rules.insert(libc::SYS_ioctl, ioctl.collect::<Result<_, _>>()?);
    Ok(rules)
}

/// Names of mappings: the allocator of the C library gives some.
const PR_SET_VMA: i32 = 0x5356_4d41;
/// asm-generic/ioctls.h: descriptors that block or are closed, terminals that are asked about.
const FIONBIO: u64 = 0x5421;
const FIOCLEX: u64 = 0x5451;
const FIONREAD: u64 = 0x541b;
const TCGETS: u64 = 0x5401;
const TIOCGWINSZ: u64 = 0x5413;

/// The filters, in the order in which they are set: none of them forbids to set the next.
fn filters() -> Result<[BpfProgram; 3], String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|error| format!("this architecture has no list of system calls: {error}"))?;
    let always =
        |calls: &[i64]| -> Rules { calls.iter().map(|call| (*call, Vec::new())).collect() };
    let compiled = |rules, other: SeccompAction, these: SeccompAction| {
        SeccompFilter::new(rules, other, these, architecture)
            .and_then(BpfProgram::try_from)
            .map_err(|error| error.to_string())
    };
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let mut known = always(PLAIN);
    known.extend(always(OLDER));
    known.extend(conditional().map_err(|error| error.to_string())?);
    Ok([
        compiled(
            always(&[libc::SYS_clone3]),
            SeccompAction::Allow,
            errno(libc::ENOSYS),
        )?,
        compiled(
            always(HOSTILE),
            SeccompAction::Allow,
            SeccompAction::KillProcess,
        )?,
        compiled(known, errno(libc::EPERM), SeccompAction::Allow)?,
    ])
}

/// Restricts the process.
pub(super) fn restrict() -> Result<(), String> {
    for filter in &filters()? {
        apply_filter_all_threads(filter).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Restricts this thread alone.
pub(super) fn restrict_thread() -> Result<(), String> {
    for filter in &filters()? {
        apply_filter(filter).map_err(|error| error.to_string())?;
    }
    Ok(())
}
