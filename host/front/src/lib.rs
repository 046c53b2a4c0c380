//! The one door of the daemon: TLS listener, credentials, Host and Origin checks, routing.
