FROM busybox
COPY . /x
CMD ["ls", "/x"]
