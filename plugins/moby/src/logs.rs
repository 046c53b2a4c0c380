//! Container logs as bytes (`get-logs`).

use rdd_sdk::demux::LogDemuxer;
use rdd_sdk::types::{Error, LogOptions};
use rdd_sdk::{LogResponder, LogSink};

use crate::backend::MobyBackend;
use crate::log_source::LogSource;

/// Sends a container's log.
pub(crate) async fn run(
    moby: &MobyBackend,
    id: &str,
    options: &LogOptions,
    responder: LogResponder,
) -> Result<(), Error> {
    let source = LogSource::open(moby, id, options).await?;
    // There are no more requests. An idle connection would use a file
    // descriptor for as long as the log is open.
    moby.client.close_idle(0);
    copy_log(source, responder.accept()).await
}

/// Copies the log from the engine to the host, which applies back-pressure.
async fn copy_log(mut source: LogSource, mut sink: LogSink) -> Result<(), Error> {
    let mut demuxer = if source.is_raw {
        LogDemuxer::raw()
    } else {
        LogDemuxer::multiplexed()
    };
    loop {
        let mut pushed = Ok(());
        let more = source
            .read(|bytes| {
                if pushed.is_ok() {
                    pushed = demuxer.push(&bytes);
                }
            })
            .await;
        // The chunks before an error are valid.
        sink.send(demuxer.take_chunks()).await?;
        pushed?;
        if !more? {
            return demuxer.finish();
        }
    }
}
