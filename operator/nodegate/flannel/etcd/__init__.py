"""A thin client for etcd: the v3 JSON gateway and the v2 keys API behind one interface.

``client.EtcdClient`` is the way in; ``values``, ``credentials`` and ``errors`` hold what goes in and comes out.
Inside, ``v3`` and ``v2`` say what is asked, ``transport`` of whom, ``connections`` how, ``diagnosis`` why not,
``settling`` what became of a write whose answer was lost, and ``watching`` how a watch outlives its connections.
"""
