//! The command line.

fn main() -> std::process::ExitCode {
    give_memory_back();
    app::warm::before_threads();
    server::run()
}

/// Tells glibc's allocator to return large blocks (a hash takes 19 MiB) to the system when they are freed, and to share two
/// arenas between the threads: its defaults keep what each thread once used. Other systems' allocators need no telling.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "a call into C that takes two numbers; no other thread runs yet")]
    // SAFETY: `mallopt` may be called at any time before threads are started, with any value; one that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
