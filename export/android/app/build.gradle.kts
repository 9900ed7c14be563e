plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

/** Version of ONNX Runtime: its library is in the application, and its C headers are what the kit is built with. */
val onnxruntime = "com.microsoft.onnxruntime:onnxruntime-android:1.23.2"

/** The headers lie in the archive beside the library. */
val headers = layout.buildDirectory.dir("onnxruntime")

val runtimeArchive: Configuration by configurations.creating { isTransitive = false }

android {
    namespace = "dev.edgesft.kit"
    compileSdk = 36
    ndkVersion = "27.2.12479018"

    defaultConfig {
        applicationId = "dev.edgesft.kit"
        minSdk = 28
        targetSdk = 36
        versionCode = 1
        versionName = "1"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake { arguments += "-DEDGESFT_ORT_HEADERS=${headers.get().asFile}/headers" }
        }
    }

    externalNativeBuild {
        cmake { path = file("src/main/cpp/CMakeLists.txt") }
    }

    // A bundle is stored as it is, so that a copy of it is the same to the byte.
    androidResources { noCompress += "zip" }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(onnxruntime)
    runtimeArchive("$onnxruntime@aar")
}

val unpackHeaders by tasks.registering(Copy::class) {
    from(runtimeArchive.elements.map { files -> files.map { zipTree(it) } })
    include("headers/**")
    into(headers)
}

tasks.named("preBuild") { dependsOn(unpackHeaders) }
