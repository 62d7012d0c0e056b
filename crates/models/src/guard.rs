//! The one place where a panic of libtorch's wrapper becomes an error, where devices are named, and where the number of
//! threads of libtorch is set.

use crate::error::{Error, Result, first_line};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use tch::{Cuda, Device};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, and turns a panic that carries a refusal of libtorch into [`Error::Torch`].
///
/// tch's convenient methods unwrap what the C++ side throws. Training and generation run inside this guard, so that a
/// shape or memory error ends in one line. Any other panic goes on: it is a mistake in this program and should be loud.
/// The process's panic hook is wrapped once, so that a refusal of libtorch prints nothing of its own.
///
/// # Errors
/// What `work` returns, or what libtorch said.
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    quiet_hook();
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    match result {
        Ok(result) => result,
        Err(payload) => match torch_message(payload.as_ref()) {
            Some(message) => Err(Error::Torch { message }),
            None => resume_unwind(payload),
        },
    }
}

fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !(GUARDED.get() && torch_message(info.payload()).is_some()) {
                previous(info);
            }
        }));
    });
}

/// What libtorch said, when the payload is the panic of an unwrapped `TchError`.
fn torch_message(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>()?;
    let inner = text.split_once("on an `Err` value: ")?.1;
    ["Torch(\"", "Shape(\"", "Kind(\"", "Convert(\""]
        .iter()
        .find_map(|variant| inner.strip_prefix(variant))
        .map(first_line)
}

/// The device of a name: `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// Another name, or a device that is not there: the message says what is.
pub fn device(name: &str) -> Result<Device> {
    let refuse = |why: String| Err(Error::Device { name: name.to_owned(), why });
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").map(str::parse::<usize>) {
            Some(Ok(index)) => index,
            _ => return refuse("must be cpu or cuda:N".to_owned()),
        },
    };
    let count = if Cuda::is_available() { Cuda::device_count().max(0) as usize } else { 0 };
    match count {
        0 => refuse("there is no CUDA device that this libtorch can use; use cpu".to_owned()),
        _ if index < count => Ok(Device::Cuda(index)),
        _ => refuse(format!("there are {count} CUDA devices, numbered from 0")),
    }
}

/// The name [`device`] reads.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Sets the number of threads of libtorch's operations, for the whole process.
///
/// Results are the same bytes for a fixed number only, so a checkpoint stores it. Small networks are fastest on one.
///
/// # Errors
/// Zero, or more than 1024.
pub fn set_threads(threads: usize) -> Result<()> {
    if !(1..=1024).contains(&threads) {
        return Err(Error::setting("threads", threads, "between 1 and 1024"));
    }
    let threads = i32::try_from(threads).unwrap_or(1);
    // Setting it resets pools that are warm, so only on a change.
    if tch::get_num_threads() != threads {
        tch::set_num_threads(threads);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn a_refusal_of_libtorch_is_one_line() {
        let cpu = (Kind::Float, Device::Cpu);
        let error = guard(|| Ok(Tensor::zeros([2, 3], cpu).matmul(&Tensor::zeros([2, 3], cpu)))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("libtorch: ") && text.contains("2x3"), "{text}");
        assert!(!text.contains('\n') && !text.contains("\\n"), "{text}");
        // and the next operation works
        assert!(guard(|| Ok(Tensor::zeros([2], cpu))).is_ok());
    }

    #[test]
    #[should_panic(expected = "a mistake of ours")]
    fn other_panics_go_on() {
        let _ = guard(|| -> Result<()> { panic!("a mistake of ours") });
    }

    #[test]
    fn devices_are_named_and_checked() {
        assert_eq!(device("cpu").unwrap(), Device::Cpu);
        for name in ["gpu", "cuda:x", "cuda:-1", "", "CPU"] {
            assert!(device(name).unwrap_err().to_string().contains("must be cpu or cuda:N"), "{name}");
        }
        assert!(device("cuda:999").unwrap_err().to_string().starts_with("device = cuda:999: there "));
        assert!(set_threads(0).is_err());
    }
}
