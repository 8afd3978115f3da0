//! `switchback serve`.

use super::Exit;
use super::args::{CONFIG, LogFormat, Serve};
use super::output::CommandError;
use super::wiring::{self, Source};
use crate::telemetry::Format;

pub(super) fn run(arguments: Serve) -> Result<Exit, CommandError> {
    let source = if arguments.listen.is_empty() {
        Source::File(arguments.config.unwrap_or_else(|| CONFIG.into()))
    } else {
        Source::Plain {
            listen: arguments.listen,
            zones: arguments.zone,
        }
    };
    crate::telemetry::init(match arguments.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    });
    // What takes rights comes before the first thread of the runtime.
    let prepared = wiring::prepare(source)?;
    let runtime = wiring::runtime()?;
    let served = runtime.block_on(async {
        let shutdown = wiring::told_to_end()?;
        prepared
            .run(shutdown)
            .await
            .map_err(|error| CommandError::Failed(error.to_string()))
    });
    served.map(|()| Exit::Well)
}
