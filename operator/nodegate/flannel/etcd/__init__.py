"""A thin client for etcd: the v3 JSON gateway and the v2 keys API behind one interface."""
