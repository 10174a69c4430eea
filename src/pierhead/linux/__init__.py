"""The one door to the kernel: nobody else imports ``ctypes`` or ``subprocess``.

==============  =======================================================================
``syscalls``    libc prototypes, declared once, typed wrappers that raise ``OSError``
``process``     every child starts here: ``posix_spawn`` and a pidfd, awaited on the loop
``worker``      jailed helper processes for heavy or hostile work
``mounts``      overlay, bind, unmount, mountinfo
``paths``       resolution inside a root with ``openat2``
``namespaces``  network namespaces held by a descriptor, and code run inside one
``netlink``     rtnetlink: bridges, veths, addresses, routes
``nft``         nf_tables: tables, sets, rules, elements
``cgroups``     layout, preparation of v1 and hybrid hosts; ``cgroup_stats``: statistics;
                ``cgroup_warmup``: the lock that a start would wait for
``seccomp``     the default profile, and its compiled form
``devices``     device nodes of the host; ``limits``: what we may give to children
``inotify``     files that change; ``memory``: give memory back
==============  =======================================================================

Everything here raises ``OSError`` (with the path where there is one) or a ``PierError``
whose text says what to do.
"""
