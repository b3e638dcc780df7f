//! Who lives through what: servers that guard their memory by reservation, by an exact look at the heap, and not at all,
//! each in a process of its own under a hard limit, under the same loads.
//!
//! `cargo bench -p memguard-layer --bench survival` (add `-- --quick` for two loads, or parts of the loads' names for those
//! alone). Loopback only; takes some minutes and ends by itself, with a status of 1 if the guarded server broke a promise
//! or the unguarded one lived.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod trial;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod report;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static HEAP: memguard_layer::Heap = memguard_layer::Heap::new().with_peak();

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return report::run();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        println!("left out: for Linux with glibc");
        std::process::ExitCode::SUCCESS
    }
}
