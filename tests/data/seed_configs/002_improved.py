CODEBOOK_CONFIG = {
    "n_embed": 64,        # 码本大小，减小以确保更高的利用率
    "embed_dim": 256,     # 嵌入维度，保持不变
    "ema_decay": 0.7,     # EMA衰减率，降低以使码本更新更快
    "commitment_loss_beta": 10.0  # 承诺损失权重，增加以鼓励编码器输出接近码本向量
}

TRAINER_CONFIG = {
    "entropy_weight": 2.0,  # 熵正则化权重，增加以鼓励码本使用的均匀性
    "l1_weight": 0.7,       # 重建损失权重
    "perceptual_weight": 0.005,  # 感知损失权重
    "adversarial_weight": 0.4,   # 对抗损失权重
    "reset_low_usage_interval": 1,  # 低使用率码元重置间隔
    "reset_low_usage_percentage": 0.3  # 低使用率码元重置比例
}

TRAINING_STRATEGY = {
    "batch_size": 64,       # 批次大小
    "temperature": 2.5,     # 温度参数，提高以使码本选择更随机
    "codebook_init": "uniform",  # 码本初始化方法
    "commitment_warmup_epochs": 5,  # 承诺损失预热轮次
    "reset_dead_codes_threshold": 1,  # 死码元重置阈值
    "disable_codebook_expansion": True  # 禁用码本自动扩展
}
