"""Every execution provider that ONNX Runtime 1.32 knows: a new one is an entry here.

Options are read from the libraries that parse them (onnxruntime-qnn 2.7, onnxruntime-openvino 1.24.1, onnxruntime-gpu
1.31.1, onnxruntime-webgpu 1.27) or from ONNX Runtime's page of the provider.
"""

from __future__ import annotations

from edgesft.measure.providers.provider import Provider, Values

BUILD = "your own build of onnxruntime"

FLAG = ("0", "1")

WORDS = ("True", "False", "true", "false", "0", "1")
"""What NVIDIA's two providers read a flag from."""

OWN = "in an environment of its own (--device with its interpreter): two runtimes cannot share one"


def _of(names: str, values: Values = None) -> dict[str, Values]:
    return dict.fromkeys(names.split(), values)


CUDA = _of(
    "device_id gpu_mem_limit user_compute_stream gpu_external_alloc gpu_external_free gpu_external_empty_cache "
    "tunable_op_max_tuning_duration_ms sdpa_kernel attention_mode"
) | {
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    **_of(
        "do_copy_in_default_stream has_user_compute_stream cudnn_conv_use_max_workspace enable_cuda_graph "
        "cudnn_conv1d_pad_to_nc1d tunable_op_enable tunable_op_tuning_enable enable_skip_layer_norm_strict_mode "
        "prefer_nhwc use_ep_level_unified_stream use_tf32 fuse_conv_bias enable_cudnn",
        WORDS,
    ),
}

TENSORRT = _of(
    "device_id user_compute_stream trt_auxiliary_streams trt_builder_optimization_level trt_dla_core "
    "trt_engine_cache_path trt_engine_cache_prefix trt_engine_decryption_lib_path trt_ep_context_embed_mode "
    "trt_ep_context_file_path trt_external_data_bytestream trt_external_data_bytestream_size "
    "trt_extra_plugin_lib_paths trt_int8_calibration_table_name trt_max_partition_iterations trt_max_workspace_size "
    "trt_min_subgraph_size trt_onnx_bytestream trt_onnx_bytestream_size trt_onnx_model_folder_path "
    "trt_op_types_to_exclude trt_preview_features trt_profile_max_shapes trt_profile_min_shapes "
    "trt_profile_opt_shapes trt_tactic_sources trt_timing_cache_path"
) | _of(
    "has_user_compute_stream trt_bf16_enable trt_build_heuristics_enable trt_context_memory_sharing_enable "
    "trt_cuda_graph_enable trt_detailed_build_log trt_dla_enable trt_dump_ep_context_model trt_dump_subgraphs "
    "trt_engine_cache_enable trt_engine_decryption_enable trt_engine_hw_compatible "
    "trt_force_sequential_engine_build trt_force_timing_cache trt_fp16_enable trt_int8_enable "
    "trt_int8_use_native_calibration_table trt_layer_norm_fp32_fallback trt_load_user_initializer "
    "trt_sparsity_enable trt_timing_cache_enable trt_weight_stripped_engine_enable",
    WORDS,
)

QNN = _of(
    "soc_model vtcm_mb rpc_control_latency htp_arch device_id op_packages profiling_file_path qnn_saver_path "
    "qnn_ir_backend_path json_qnn_graph_dir dump_qnn_ir_dlc_dir htp_reused_io_limit_mb backend_path "
    "htp_graph_splitting_num_prepare_threads"
) | {
    # The libraries of `cpu` are not in the wheel; `saver` and `ir` record and do not compute.
    "backend_type": ("htp", "gpu"),
    "htp_performance_mode": (
        *("burst", "balanced", "default", "high_performance", "high_power_saver", "low_balanced"),
        *("extreme_power_saver", "low_power_saver", "power_saver", "sustained_high_performance"),
    ),
    "htp_graph_finalization_optimization_mode": ("0", "1", "2", "3"),
    "qnn_context_priority": ("low", "normal", "normal_high", "high"),
    "profiling_level": ("off", "basic", "detailed", "optrace"),
    **_of(
        "enable_htp_fp16_precision offload_graph_io_quantization enable_htp_spill_fill_buffer "
        "enable_htp_shared_memory_allocator enable_vtcm_backup_buffer_sharing enable_block_quant_weight_optimization "
        "enable_framework_op_trace enable_htp_fp16_clamp_overflow enable_htp_graph_splitting "
        "enable_htp_monolithic_lstm enable_htp_prepare_only enable_htp_prepare_and_load extended_udma "
        "htp_bf16_enable htp_share_resource_optimization dump_json_qnn_graph dump_qnn_ir_dlc "
        "disable_file_mapped_weights skip_backend_op_validation skip_qnn_version_check",
        FLAG,
    ),
}

OPENVINO = _of("device_type device_id device_luid num_of_threads cache_dir load_config layout reshape_input") | {
    "num_streams": None,
    "precision": ("FP32", "FP16", "ACCURACY"),
    "model_priority": ("LOW", "MEDIUM", "HIGH", "DEFAULT"),
    **_of("disable_dynamic_shapes enable_qdq_optimizer enable_opencl_throttling enable_causallm", WORDS),
}

WEBGPU = _of("deviceId dawnProcTable webgpuInstance webgpuDevice forceCpuNodeNames multiRotaryCacheConcatOffset") | {
    "preferredLayout": ("NCHW", "NHWC"),
    "powerPreference": ("high-performance", "low-power"),
    "dawnBackendType": ("D3D12", "Vulkan", "Metal"),
    "validationMode": ("disabled", "wgpuOnly", "basic", "full"),
    "maxStorageBufferBindingSize": None,
    **_of(
        "storageBufferCacheMode uniformBufferCacheMode queryResolveBufferCacheMode defaultBufferCacheMode",
        ("disabled", "lazyRelease", "simple", "bucket"),
    ),
    **_of("enableGraphCapture enableInt64 enablePIXCapture preserveDevice", FLAG),
}

COREML = {
    "ModelFormat": ("MLProgram", "NeuralNetwork"),
    "MLComputeUnits": ("ALL", "CPUOnly", "CPUAndGPU", "CPUAndNeuralEngine"),
    "SpecializationStrategy": ("Default", "FastPrediction"),
    "ModelCacheDirectory": None,
    **_of("RequireStaticInputShapes EnableOnSubgraphs ProfileComputePlan AllowLowPrecisionAccumulationOnGPU", FLAG),
}

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("CPUExecutionProvider", "pip install onnxruntime", int8=("dynamic", "u8s8"), int4=True),
        Provider(
            "CUDAExecutionProvider",
            "pip install onnxruntime-gpu[cuda,cudnn], on a machine with an NVIDIA GPU and its driver",
            ("Linux", "Windows"),
            fp16=True,
            int4=True,
            options=CUDA,
            note="use_tf32=0 computes 32-bit floats as such; cudnn_conv_algo_search=HEURISTIC starts faster",
        ),
        Provider(
            "TensorrtExecutionProvider",
            "pip install onnxruntime-gpu and TensorRT; on a Jetson NVIDIA's wheel for its JetPack",
            ("Linux", "Windows"),
            int8=("s8s8",),
            fp16=True,
            context=True,
            options=TENSORRT,
        ),
        Provider(
            "NvTensorRTRTXExecutionProvider",
            "pip install onnxruntime-ep-nv-tensorrt-rtx, a plugin, on a PC with an RTX GPU",
            ("Linux", "Windows"),
            int8=("s8s8",),
            fp16=True,
            context=True,
            note="it would capture graphs by default; edgesft sets enable_cuda_graph=0 unless told otherwise",
        ),
        Provider(
            "MIGraphXExecutionProvider",
            "pip install onnxruntime-migraphx, on a machine with an AMD GPU and ROCm",
            ("Linux", "Windows"),
            int8=("s8s8",),
            fp16=True,
        ),
        Provider(
            "OpenVINOExecutionProvider",
            f"pip install onnxruntime-openvino, {OWN}",
            ("Linux", "Windows"),
            int8=("u8s8",),
            context=True,
            options=OPENVINO,
            defaults={"device_type": "CPU"},
            note="device_type CPU, GPU, NPU or AUTO; 16-bit floats only where the device has them",
        ),
        Provider("DnnlExecutionProvider", f"{BUILD} with --use_dnnl"),
        Provider(
            "VitisAIExecutionProvider",
            "AMD's Ryzen AI software, which includes an onnxruntime with this provider",
            ("Windows", "Linux"),
            static_shapes=True,
            int8=("s8s8",),
            context=True,
        ),
        Provider(
            "QNNExecutionProvider",
            "pip install onnxruntime-qnn, a plugin for the stock onnxruntime",
            ("Linux", "Windows", "Android"),
            static_shapes=True,
            int8=("u16u8", "u8u8"),
            fp16=True,
            halves=True,
            context=True,
            chip="soc_model",
            options=QNN,
            defaults={"backend_type": "htp"},
            note="on x86-64 it simulates the NPU of the chip soc_model: placement and answers, never latency",
        ),
        Provider(
            "NnapiExecutionProvider",
            "onnxruntime-android on the phone itself; no Python build has it",
            ("Android",),
            static_shapes=True,
            int8=("u8u8",),
            fp16=True,
            note="Android deprecates it from version 15 on",
        ),
        Provider(
            "VSINPUExecutionProvider", f"{BUILD} with --use_vsinpu, on a board with VeriSilicon's NPU", ("Linux",)
        ),
        Provider("JsExecutionProvider", "onnxruntime-web in a browser or Node.js", ("Browser",), fp16=True, int4=True),
        Provider("WebNNExecutionProvider", "onnxruntime-web in a browser that has WebNN", ("Browser",), fp16=True),
        Provider(
            "CoreMLExecutionProvider",
            "pip install onnxruntime on macOS, or run on the iPhone itself",
            ("Darwin", "iOS"),
            static_shapes=True,
            fp16=True,
            halves=True,
            options=COREML,
        ),
        Provider(
            "DmlExecutionProvider",
            f"pip install onnxruntime-directml, on Windows, {OWN}",
            ("Windows",),
            int8=("u8s8",),
            fp16=True,
            int4=True,
        ),
        Provider("RknpuExecutionProvider", f"{BUILD} with --use_rknpu, on a Rockchip board", ("Linux",)),
        Provider(
            "WebGpuExecutionProvider",
            f"pip install onnxruntime-webgpu, {OWN}; or the plugin onnxruntime-ep-webgpu beside the stock one",
            fp16=True,
            int4=True,
            options=WEBGPU,
        ),
        Provider(
            "XnnpackExecutionProvider",
            "onnxruntime-android or onnxruntime-c on the phone itself, or your own build",
            ("Android", "iOS"),
            int8=("s8s8",),
            options={"intra_op_num_threads": None},
        ),
        Provider(
            "CANNExecutionProvider", "pip install onnxruntime-cann, on a machine with Huawei's Ascend NPU", ("Linux",)
        ),
        Provider("AzureExecutionProvider", "pip install onnxruntime; it asks a remote endpoint"),
    )
}
"""Every provider that ONNX Runtime 1.32 knows (`onnxruntime.get_all_providers`) or that is a plugin, by its name."""

SESSION = _of(
    "session.intra_op_thread_affinities session.intra_op.spin_duration_us session.intra_op.spin_backoff_max "
    "session.dynamic_block_base session.graph_optimizations_loop_level optimization.disable_specified_optimizers "
    "optimization.constant_folding_max_output_size_in_bytes session.qdq_matmulnbits_block_size "
    "session.qdq_matmulnbits_accuracy_level mlas.nchwc_pointwise_conv_max_input_channel_batch "
    "mlas.kleidiai.conv_igemm_max_work"
) | _of(
    "session.intra_op.allow_spinning session.force_spinning_stop session.disable_prepacking "
    "session.set_denormal_as_zero session.use_env_allocators session.use_device_allocator_for_initializers "
    "session.use_deterministic_compute session.disable_quant_qdq session.disable_double_qdq_remover "
    "session.enable_quant_qdq_cleanup session.enable_dq_matmulnbits_fusion session.disable_qdq_constant_folding "
    "session.qdqisint8allowed session.x64quantprecision session.disable_aot_function_inlining "
    "session.prepack.enable_parallel optimization.enable_gelu_approximation optimization.enable_cast_chain_elimination "
    "mlas.enable_gemm_fastmath_arm64_bfloat16 mlas.use_lut_gemm mlas.qnbit.force_fp32 mlas.disable_kleidiai "
    "mlas.nchwc_depthwise_sliding",
    FLAG,
)
"""Entries of a session's configuration that bear on how fast it is or what it answers, of those that ONNX Runtime 1.32
reads (onnxruntime_session_options_config_keys.h); what its libraries for ARM read is among them."""

NO_PROVIDER = {
    "tpu": "ONNX Runtime has no execution provider for TPUs: convert the model for them with LiteRT or OpenXLA instead"
}
"""What people ask for and nobody has, and what to do instead."""
