"""EROFS over raw layer tars: a layer becomes a file system without being unpacked.

One file per layer::

    0        reserved; the superblock is 128 bytes at 1,024
    4,096    the layer's tar, byte for byte
    ...      copies: content that can't be pointed at where it stands (rare)
    ...      the index: inodes and directories (512-byte blocks, as the tar's)

A regular file's inode says at which block of the file its content starts: that is where
the tar has it. So the tar is both what is mounted and what save and push send.

``format``  the on-disk structures (constants and packing), no IO
``scan``    tar headers out of a stream of chunks
``tree``    what the members add up to: layer rules (whiteouts, links, parents)
``index``   the tree as bytes, behind the tar
``read``    lists a finished image without mounting it

``store.stage`` has the worker functions over them. Sources: the kernel's
``fs/erofs/erofs_fs.h`` and Documentation/filesystems/erofs.rst.
"""
