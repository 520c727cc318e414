//! Container networking on one host: namespaces, bridges, addresses, published ports, Service tables.
