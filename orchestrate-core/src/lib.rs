//! Kubernetes as pure logic: objects, scheduler, reconcilers, node, network, simulation.
