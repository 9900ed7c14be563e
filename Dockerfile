# docker build -t edgesft . && docker run --rm -v "$PWD:/work" edgesft run recipe.yaml
# CPU only. torch comes from its index of CPU builds; pip's own would bring gigabytes of CUDA.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY edgesft edgesft
COPY profiles profiles
COPY export export
RUN python -m venv /opt/edgesft \
 && /opt/edgesft/bin/pip install --no-cache-dir --constraint constraints.txt \
      --extra-index-url https://download.pytorch.org/whl/cpu '.[parquet,image,audio,report,ship]'

FROM python:3.11-slim
# What soundfile and Pillow need comes inside their wheels.
COPY --from=build /opt/edgesft /opt/edgesft
RUN useradd --create-home --uid 1000 edgesft && mkdir -p /work /store && chown edgesft /work /store
USER edgesft
ENV PATH=/opt/edgesft/bin:$PATH EDGESFT_STORE=/store HF_HOME=/store/hub
# What was made stays where a volume is mounted: -v edgesft-store:/store
VOLUME /store
WORKDIR /work
ENTRYPOINT ["edgesft"]
CMD ["--help"]
