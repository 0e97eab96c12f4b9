"""Network file systems are told from local ones by the text of mountinfo alone."""

import os
from pathlib import Path

import pytest

from ml_exporter.mounts import network_file_system

ROOT = "21 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw"


def mountinfo(*mounts):
    """Text of mounts (id, parent, point, type) on a local root."""
    lines = [f"{number} {parent} 0:{number} / {point} rw - {kind} src rw" for number, parent, point, kind in mounts]
    return "\n".join([ROOT, *lines]) + "\n"


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "9p",
        "fuse.sshfs",
        "fuse.glusterfs",
        "glusterfs",
        "lustre",
        "ceph",
        "afs",
        "fuse.ceph-fuse",
        "fuse.s3fs",
        "beegfs",
    ],
)
def test_network_file_systems(kind):
    text = mountinfo((30, 21, "/data", kind))
    assert network_file_system("/data", text) == kind
    assert network_file_system("/data/state/of/it", text) == kind
    assert network_file_system("/database", text) is None
    assert network_file_system("/", text) is None


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk", "fuse.lxcfs", "nfsd"])
def test_local_file_systems(kind):
    assert network_file_system("/data/state", mountinfo((30, 21, "/data", kind))) is None


def test_the_innermost_mount_counts():
    text = mountinfo((30, 21, "/data", "nfs"), (31, 30, "/data/local", "ext4"), (32, 31, "/data/local/far", "cifs"))
    assert network_file_system("/data/local/x", text) is None
    assert network_file_system("/data/local/far/x", text) == "cifs"
    assert network_file_system("/data/x", text) == "nfs"


def test_mounts_over_mounts():
    """A later mount on the same point, or on a folder above, hides the earlier one, whatever the order of lines."""
    text = mountinfo((30, 21, "/data", "nfs"), (31, 30, "/data", "xfs"))
    assert network_file_system("/data/x", text) is None
    text = mountinfo((30, 21, "/data/deep", "nfs"), (31, 21, "/data", "xfs"))
    assert network_file_system("/data/deep/x", text) is None


def test_root_on_nfs_and_names_with_spaces():
    text = "1 1 0:2 / / rw - nfs4 host:/root rw\n5 1 8:1 / /my\\040disk rw master:2 - ext4 /dev/a rw\n"
    assert network_file_system("/home/x", text) == "nfs4"
    assert network_file_system("/my disk/x", text) is None


def test_unknown_text_is_no_network():
    for text in ("", "\n", "nonsense\n", "1 2 3\n", "1 0 0:1 / /\n", "7 3 0:1 / /elsewhere rw - nfs host:/ rw\n"):
        assert network_file_system("/x", text) is None


def test_here():
    """The text of the running kernel is understood: /proc is never a network."""
    text = Path("/proc/self/mountinfo").read_text()
    assert network_file_system(os.path.realpath("/proc/self"), text) is None
