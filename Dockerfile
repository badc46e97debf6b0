# The command line and the service, on a CPU:
#
#   docker build --tag cityscribe .
#   docker run --rm --volume "$PWD:/work" cityscribe run project.yaml
#   docker run --rm --volume "$PWD:/work" --publish 127.0.0.1:8080:8080 --env CITYSCRIBE_TOKEN \
#       cityscribe serve runs/demo/model --set serve.host=0.0.0.0
#
# For a GPU give a build of torch: --build-arg TORCH_INDEX=... with the index of torch's wheels for your CUDA.
FROM python:3.11-slim

ARG TORCH_INDEX=""
RUN useradd --create-home cityscribe && install --directory --owner cityscribe /work
WORKDIR /opt/cityscribe
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY cityscribe ./cityscribe
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --constraint constraints.txt torch && \
    pip install --no-cache-dir --constraint constraints.txt ".[serve,detect]"
USER cityscribe
WORKDIR /work
ENTRYPOINT ["cityscribe"]
CMD ["--help"]
