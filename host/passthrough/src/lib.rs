//! The WebSocket mux: log streams of the engine for viewers.
