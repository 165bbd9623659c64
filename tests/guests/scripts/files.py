# files.py DIR: files and directories, left as they were found.
import json
import os
import pathlib
import sys
import zipfile

top = pathlib.Path(sys.argv[1])
work = top / "files-py"
work.mkdir()
(work / "text.txt").write_text("one\ntwo\nthree\n")
with open(work / "text.txt", "r+") as file:
    print(file.readline().strip(), file.tell())
    file.seek(0, os.SEEK_END)
    file.write("four\n")
print((work / "text.txt").read_text().splitlines(), (work / "text.txt").stat().st_size)
with open(work / "bytes.bin", "wb") as file:
    file.write(bytes(range(256)) * 40)
    file.truncate(1000)
print(len((work / "bytes.bin").read_bytes()), (work / "bytes.bin").read_bytes()[255:258])
(work / "sub" / "deep").mkdir(parents=True)
os.rename(work / "bytes.bin", work / "sub" / "deep" / "renamed.bin")
for name in ("b", "a", "c"):
    (work / "sub" / name).write_text(json.dumps({"name": name}))
for root, dirs, files in os.walk(work):
    dirs.sort()
    print(os.path.relpath(root, top), sorted(files))
os.utime(work / "text.txt", (1_000_000_000, 1_100_000_000))
print(int((work / "text.txt").stat().st_mtime))
with zipfile.ZipFile(work / "archive.zip", "w") as archive:
    archive.write(work / "text.txt", "inside.txt")
with zipfile.ZipFile(work / "archive.zip") as archive:
    print(archive.namelist(), archive.read("inside.txt"))
try:
    open(work / "missing")
except FileNotFoundError as error:
    print("missing:", error.strerror)
try:
    open("/etc/passwd")
    print("the host's files are open to us")
except OSError as error:
    print("outside:", type(error).__name__)
for root, dirs, files in os.walk(work, topdown=False):
    for name in files:
        os.unlink(os.path.join(root, name))
    os.rmdir(root)
print(work.exists())
